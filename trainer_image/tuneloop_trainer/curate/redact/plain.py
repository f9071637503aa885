"""A text as the rules read it: in plain letters, each thing apart from what surrounds it."""

import re

_ALIKE = {ord(c): "-" for c in "\u2010\u2011\u2012\u2013\u2212"} | {ord(c): " " for c in "\u2007\u2009\u202f"}
_ALIKE |= {0xFEE0 + code: chr(code) for code in range(ord("!"), ord("~") + 1)}
"""Hyphens and spaces as word processors and web pages print numbers with, and the wide letters of Asian keyboards: one character each,
so that places stay."""
_HAS_ALIKE = re.compile(f"[{''.join(map(re.escape, map(chr, _ALIKE)))}]")

_UNSEEN = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
"""Characters of no width, with which web pages let words break and people hide addresses."""
_UNSPACED = "\u0e00-\u0e7f\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Thai, kana, Chinese and Korean letters: no space parts them from a number or an address."""
_MISPLACED = re.compile(rf"[{_UNSEEN}]|(?<=[{_UNSPACED}])(?=[A-Za-z0-9+(])|(?<=[A-Za-z0-9])(?=[{_UNSPACED}])")

_ESCAPED = re.compile(r"\\[nrt]")
"""The ends of lines of a text within a text, as in JSON: else `\\nana@example.com` is the address of one Nana."""


def without_escapes(text: str) -> str:
    """As long as it was."""
    return _ESCAPED.sub("  ", text) if "\\" in text else text


def in_plain_letters(text: str) -> tuple[str, list[int]]:
    """And the place of each character in `text`; no places where they stayed."""
    if _is_latin(text):
        return text, []
    alike = text.translate(_ALIKE) if _HAS_ALIKE.search(text) else text
    return _spaced(alike) if _MISPLACED.search(alike) else (alike, [])


def _is_latin(text: str) -> bool:
    """No character beyond ISO 8859-1, as in most texts that are not ASCII: to encode one says so soonest."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return "\u00ad" not in text


def _spaced(text: str) -> tuple[str, list[int]]:
    """Without what has no width, and with a space where a script that has none meets a number."""
    parts, places, at = [], list[int](), 0
    for gap in _MISPLACED.finditer(text):
        space = gap.start() == gap.end()
        parts += [text[at : gap.start()], " " * space]
        places += [*range(at, gap.start()), *(gap.start(),) * space]
        at = gap.end()
    return "".join((*parts, text[at:])), [*places, *range(at, len(text))]
