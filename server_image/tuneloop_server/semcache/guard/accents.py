"""Words that the other text writes with their accents: `horario` and `horário`."""

import re

from tuneloop_contracts.domains import without_accents

_PLAIN = re.compile(r"(?<![\w'/.@-])[^\W\d_]{5,30}(?![\w'/@-]|\.\w)")
"""Shorter ones are soon another word: pais and país."""


def accented(text: str, other: str) -> str:
    """`text` with the words that have fewer accents as `other` has them, if that has them with accents only."""
    words = set(re.findall(r"[^\W\d_]+", other.lower()))
    written = {bare: word for word in words if (bare := without_accents(word)) != word and bare not in words}
    return _PLAIN.sub(lambda found: _fuller(found[0], written.get(without_accents(found[0].lower()))), text) if written else text


def _fuller(word: str, other: str | None) -> str:
    return other if other and sum(map(str.isascii, other)) < sum(map(str.isascii, word)) else word
