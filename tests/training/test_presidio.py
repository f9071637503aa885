"""The adapter against an object of Presidio's documented protocol: Presidio and spaCy weigh 300 MB, so they are in no lock of ours."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import pytest

from training.examples import config
from training.test_lines import filtered
from training.traffic import asked, record
from tuneloop_trainer.curate.example import Entry
from tuneloop_trainer.curate.funnel import curate
from tuneloop_trainer.curate.redact.find import find
from tuneloop_trainer.curate.redact.presidio import PRESIDIO_ENV, Result, beside, finder
from tuneloop_trainer.curate.redact.replace import Placeholders
from tuneloop_trainer.errors import NeedsEdit


@dataclass
class Found:
    start: int
    end: int
    entity_type: str


class Analyzer:
    """Finds what a list says, as AnalyzerEngine answers."""

    supported_languages: Sequence[str] = ("en", "pt", "xx")
    names = (("en", "PERSON", "John Smith"), ("en", "PERSON", "john"), ("pt", "PERSON", "João"), ("pt", "LOCATION", "Rua Augusta 99"))

    def get_supported_entities(self, language: str) -> Sequence[str]:
        return [] if language == "xx" else ["PERSON", "LOCATION", "US_SSN"]

    def analyze(self, text: str, language: str, entities: list[str]) -> Sequence[Result]:
        assert entities == ["PERSON", "LOCATION"]
        return [
            Found(*match.span(), kind) for of, kind, name in self.names if of == language for match in re.finditer(re.escape(name), text)
        ]


def test_names_and_addresses_get_placeholders_too_in_each_language() -> None:
    both = beside(Analyzer())
    text = "John Smith (john@example.com) and João, Rua Augusta 99, João"
    assert Placeholders(both).into(text) == "[PERSON_1] ([EMAIL_1]) and [PERSON_2], [ADDRESS_1], [PERSON_2]"


def test_without_the_variable_the_rules_are_alone() -> None:
    assert finder({}) is find


def test_the_engine_is_made_of_the_configuration_that_the_variable_names(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Provider:
        def __init__(self, file: str | None) -> None:
            made.append(file)

        def create_engine(self) -> Analyzer:
            if made[-1] == "/broken.yaml":
                raise SystemExit(1)
            return Analyzer()

    module = ModuleType("presidio_analyzer")
    module.AnalyzerEngineProvider = Provider  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "presidio_analyzer", module)
    assert [span.kind for span in finder({PRESIDIO_ENV: "default"})("I am John Smith")] == ["Person"]
    finder({PRESIDIO_ENV: "/own.yaml"})
    assert made == [None, "/own.yaml"]
    with pytest.raises(NeedsEdit, match=r"cannot start \(SystemExit\)"):
        finder({PRESIDIO_ENV: "/broken.yaml"})


def test_asked_for_and_not_there_it_needs_an_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(NeedsEdit, match="presidio_analyzer is not installed"):
        finder({PRESIDIO_ENV: "default"})


def test_the_command_says_so_and_redacts_nothing_by_half() -> None:
    done = filtered("redact", b'{"id": 1, "text": "x"}', **{PRESIDIO_ENV: "default"})
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"presidio_analyzer is not installed" in done.stderr


def test_the_harvest_redacts_with_what_it_is_given() -> None:
    entry = Entry((1, 0), record(1, **asked("I am John Smith, where is my refund?")))
    done = curate([entry], {}, config(min_examples_per_domain=1), find=beside(Analyzer()))
    (row,) = (*done.train, *done.held_out, *done.time_forward)
    assert row.prompt[-1]["content"] == "I am [PERSON_1], where is my refund?"
    assert [(count.name, count.count) for count in done.redacted] == [("Person", 1)]
