"""Numbers in one form."""

import pytest

from tuneloop_server.semcache.guard.numerals import canonical, spelled


@pytest.mark.parametrize(
    ("words", "want"),
    [("three", (3, 1)), ("twenty four", (24, 2)), ("two hundred fifty cups", (250, 3)), ("one million", (10**6, 2)), ("seventh", (7, 1))],
)
def test_an_english_number_is_read(words: str, want: tuple[int, int]) -> None:
    assert spelled(words.split(), 0, "en") == want


def test_a_time_is_two_numbers() -> None:
    assert spelled(["six", "thirty"], 0, "en") == (6, 1)
    assert spelled(["six", "thirty"], 1, "en") == (30, 1)


def test_a_portuguese_article_is_no_number() -> None:
    assert spelled(["um", "carro"], 0, "pt") == (0, 0)
    assert spelled(["duas", "semanas"], 0, "pt") == (2, 1)


@pytest.mark.parametrize(
    ("written", "want"),
    [("03", "3"), ("3rd", "3"), ("1,000", "1000"), ("2.0", "2"), ("7:05", "7:5"), ("2024-01-05", "2024-1-5"), ("x", None)],
)
def test_digits_have_one_form(written: str, want: str | None) -> None:
    assert canonical(written) == want
