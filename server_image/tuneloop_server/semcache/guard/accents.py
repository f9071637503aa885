"""Words that the other text writes with their accents: `horario` and `horário`."""

import re

from tuneloop_contracts.domains import without_accents

_PLAIN = re.compile(r"(?<![\w'/.@-])[a-zA-Z]{5,30}(?![\w'/@-]|\.\w)")
"""Shorter ones are soon another word: pais and país."""


def accented(text: str, other: str) -> str:
    """`text` with the words that have no accent as `other` has them, if that has them with accents only."""
    words = set(re.findall(r"[^\W\d_]+", other.lower()))
    written = {bare: word for word in words if not word.isascii() and (bare := without_accents(word)).isascii() and bare not in words}
    return _PLAIN.sub(lambda found: written.get(found[0].lower(), found[0]), text) if written else text
