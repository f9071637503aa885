"""All that must go from one text."""

import re
from collections.abc import Iterator

from tuneloop_trainer.curate.redact.contact import emails
from tuneloop_trainer.curate.redact.credential import api_keys, jwts, passwords, pems
from tuneloop_trainer.curate.redact.digits import LEAST, windows
from tuneloop_trainer.curate.redact.identity import called_cnpjs, cnpjs, cnpjs_of_letters, cpfs, ssns
from tuneloop_trainer.curate.redact.network import ipv4s, ipv6s, urls
from tuneloop_trainer.curate.redact.payment import cards, ibans
from tuneloop_trainer.curate.redact.phone import phones
from tuneloop_trainer.curate.redact.span import Kind, Span, spans_of, without_overlaps

IN_TEXT = (
    (Kind.PEM, "-----BEGIN", pems), (Kind.URL, "://", urls), (Kind.JWT, "eyJ", jwts), (Kind.API_KEY, "", api_keys),
    (Kind.API_KEY, "", passwords), (Kind.EMAIL, "@", emails), (Kind.IP, ".", ipv4s), (Kind.IP, ":", ipv6s),
    (Kind.CNPJ, "/", cnpjs_of_letters), (Kind.CNPJ, "CNPJ", called_cnpjs), (Kind.CNPJ, "cnpj", called_cnpjs),
)  # fmt: skip
"""With what is in every text that holds such a thing: few texts have any of them, and to look for it is all that those cost."""
IN_NUMBERS = ((Kind.CNPJ, 14, cnpjs), (Kind.CPF, 11, cpfs), (Kind.CARD, 12, cards), (Kind.SSN, 9, ssns), (Kind.PHONE, LEAST, phones))
"""With the digits that such a number has at least."""


_ALIKE = {ord(c): "-" for c in "\u2010\u2011\u2012\u2013\u2212"} | {ord(c): " " for c in "\u2007\u2009\u202f"}
_ALIKE |= {0xFEE0 + code: chr(code) for code in range(ord("!"), ord("~") + 1)}
"""Hyphens and spaces as word processors and web pages print numbers with, and the wide letters of Asian keyboards: one character each,
so that places stay."""
_HAS_ALIKE = re.compile(f"[{''.join(map(re.escape, map(chr, _ALIKE)))}]")


_ESCAPED = re.compile(r"\\[nrt]")
"""The ends of lines of a text within a text, as in JSON: else `\nana@example.com` is the address of one Nana."""


def find(text: str) -> list[Span]:
    """In the text's order, without overlaps; the places are those of `text`."""
    plain = text if text.isascii() or not _HAS_ALIKE.search(text) else text.translate(_ALIKE)
    return without_overlaps(_all(_ESCAPED.sub("  ", plain) if "\\" in plain else plain))


def _all(text: str) -> Iterator[Span]:
    for kind, sign, rule in IN_TEXT:
        if sign in text:
            yield from spans_of(kind, rule(text))
    numbers = list(windows(text))
    for window, digits in numbers:
        for kind, least, number_rule in IN_NUMBERS:
            if digits >= least:
                yield from spans_of(kind, number_rule(window))
    if numbers:
        yield from spans_of(Kind.IBAN, ibans(text))
