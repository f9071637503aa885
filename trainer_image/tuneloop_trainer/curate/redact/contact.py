"""E-mail addresses."""

import re
from collections.abc import Iterator

_LOCAL = re.compile(r"(?:\b[A-Za-z]')?[\w.%+-]+$")
_LONGEST = 64
"""Characters before the @ (RFC 5321); of a longer run that many are taken."""
_DOMAIN = re.compile(r"(?:[\w-]{1,63}\.){1,16}[^\W\d_]{2,24}(?![^\W_])")
_FILES = ("png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "html", "json")
"""Endings of file names: `logo@2x.png` is no address."""
_DOT = r"(?:\.| ?[\[({] ?(?:dot|ponto) ?[\])}] ?| (?:dot|ponto) )"
_SPELLED = re.compile(
    r"[\w.%+-]{1,64}(?: ?[\[({] ?(?:at|arroba) ?[\])}] ?| (?P<bare>at|arroba) )"
    rf"(?P<domain>[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{0,3}}{_DOT}[^\W\d_]{{2,24}})(?![^\W_])",
    re.IGNORECASE,
)
_MAIL = re.compile(r"mail|contact|contato|reach me|write|escreva|address|endereço", re.IGNORECASE)
SPELLED_SIGNS = ("[", "(", " dot ", "DOT", "arroba")
"""One of them is in every address that is spelled out."""
_BRACKETED = re.compile(r"[\[({] ?(?:at|arroba) ?[\])}]", re.IGNORECASE)


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


def spelled_emails(text: str) -> Iterator[tuple[int, int]]:
    """As people hide them from machines: `ana [at] example [dot] com`, "ana arroba empresa ponto com".

    A bare "at" needs capitals or a word for mail before it, and a spelled dot: "look at example dot com" is none.
    """
    if not (any(sign in text for sign in SPELLED_SIGNS[2:]) or _BRACKETED.search(text)):
        return
    for match in _SPELLED.finditer(text):
        bare, domain = match["bare"], match["domain"].lower()
        surely = bare in (None, "AT") or (bare.lower() == "arroba") or _MAIL.search(text, max(0, match.start() - 40), match.start())
        if surely and (bare is None or " dot " in domain or " ponto " in domain):
            yield match.span()
