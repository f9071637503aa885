"""Rewriting of the ways of asking."""

import pytest

from tuneloop_server.semcache.guard.frames import Frame
from tuneloop_server.semcache.guard.lexicon import LANGUAGES, lexicon


def rewritten(text: str, language: str = "en") -> str:
    for frame in lexicon(language).frames:
        text = frame.rewrite(text)
    return " ".join(text.split())


def test_a_group_that_took_no_part_is_empty() -> None:
    assert Frame.parse(r"a(b)?c => x\1y").rewrite("ac abc") == "xy xby"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_line_of_the_lists_is_read(language: str) -> None:
    known = lexicon(language)
    assert min(len(known.frames), len(known.stopwords), len(known.concepts), len(known.opposites)) > 10


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("what are the steps to delete it", "how delete it"),
        ("could you please tell me how to delete it", "how delete it"),
        ("how much does it cost", "what does it cost"),
        ("is it possible to delete it", "can delete it"),
        ("how tall is it", "what height is it"),
        ("i can't see it", "i can not see it"),
    ],
)
def test_many_ways_of_asking_become_one(text: str, want: str) -> None:
    assert rewritten(text) == want


def test_portuguese_ways_too() -> None:
    assert rewritten("como faço para mudar a senha", "pt") == rewritten("qual é a melhor maneira de mudar a senha", "pt")
