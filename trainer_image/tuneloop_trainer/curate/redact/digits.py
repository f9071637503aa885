"""Numbers as people print them: digits in groups."""

import re
from collections.abc import Iterator
from string import digits
from typing import NamedTuple

LEAST = 7
"""Digits of the shortest number that is looked at: a telephone's without its area."""
_RUN = re.compile(rf"\d(?:[ ().\-/\u00a0]{{0,3}}\d){{{LEAST - 1},}}")
_AROUND = 2
"""Characters around a run that a rule may look at: "+(" before it, a separator and a digit or letter after it."""


class Window(NamedTuple):
    """A part of a text that may hold a number."""

    text: str
    start: int
    end: int

    def matches(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        return pattern.finditer(self.text, self.start, self.end)


def may_hold_digits(text: str) -> bool:
    """False for most texts, and soon."""
    return not text.isascii() or any(map(text.__contains__, digits))


def windows(text: str) -> Iterator[tuple[Window, int]]:
    """Each with the digits that it has."""
    for run in _RUN.finditer(text):
        start, end = run.span()
        yield Window(text, max(0, start - _AROUND), min(len(text), end + _AROUND)), len(digits_of(run.group()))


def digits_of(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


def groups_of(match: re.Match[str]) -> list[tuple[int, int, str]]:
    """Each group of digits in it: start, end and digits."""
    return [(group.start() + match.start(), group.end() + match.start(), group.group()) for group in re.finditer(r"\d+", match.group())]
