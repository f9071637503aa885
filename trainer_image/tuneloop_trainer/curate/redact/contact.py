"""E-mail addresses."""

import re
from collections.abc import Iterator

_LOCAL = re.compile(r"(?:\b[A-Za-z]')?[\w.%+-]+$")
_LONGEST = 64
"""Characters before the @ (RFC 5321); of a longer run that many are taken."""
_DOMAIN = re.compile(r"(?:[\w-]{1,63}\.){1,16}[^\W\d_]{2,24}(?![^\W_])")
_FILES = ("png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "html", "json")
"""Endings of file names: `logo@2x.png` is no address."""


def emails(text: str) -> Iterator[tuple[int, int]]:
    """Not the user of a Git remote: the address in `git@github.com:owner/name` is everybody's."""
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.search(text, max(0, at - _LONGEST), at)
        domain = _DOMAIN.match(text, at + 1) if local else None
        if local and domain:
            name = local.group().lstrip(".-_")
            if name not in ("", "git") and not domain.group().lower().endswith(_FILES):
                yield at - len(name), domain.end()
        at = text.find("@", at + 1)
