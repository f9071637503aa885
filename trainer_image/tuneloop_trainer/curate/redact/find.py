"""All that must go from one text."""

from collections.abc import Callable, Iterable, Iterator

from tuneloop_trainer.curate.redact.contact import SPELLED_SIGNS, emails, spelled_emails
from tuneloop_trainer.curate.redact.credential import api_keys, jwts, passwords, pems
from tuneloop_trainer.curate.redact.digits import LEAST, may_hold_digits, windows
from tuneloop_trainer.curate.redact.identity import called_cnpjs, cnpjs, cnpjs_of_letters, cpfs, ssns
from tuneloop_trainer.curate.redact.network import ipv4s, ipv6s, urls
from tuneloop_trainer.curate.redact.payment import cards, ibans
from tuneloop_trainer.curate.redact.phone import phones
from tuneloop_trainer.curate.redact.plain import in_plain_letters, without_escapes
from tuneloop_trainer.curate.redact.span import Kind, Span, spans_of, without_overlaps

Rule = Callable[[str], Iterable[tuple[int, int]]]
IN_TEXT: tuple[tuple[Kind, str, Rule], ...] = (
    (Kind.PEM, "-----BEGIN", pems), (Kind.URL, "://", urls), (Kind.JWT, "eyJ", jwts), (Kind.API_KEY, "", api_keys),
    (Kind.API_KEY, "", passwords), (Kind.EMAIL, "@", emails), *((Kind.EMAIL, sign, spelled_emails) for sign in SPELLED_SIGNS),
)  # fmt: skip
"""With what is in every text that holds such a thing: few texts have any of them, and to look for it is all that those cost."""
BY_DIGITS: tuple[tuple[Kind, str, Rule], ...] = (
    (Kind.IP, ".", ipv4s), (Kind.IP, ":", ipv6s),
    (Kind.CNPJ, "/", cnpjs_of_letters), (Kind.CNPJ, "CNPJ", called_cnpjs), (Kind.CNPJ, "cnpj", called_cnpjs),
)  # fmt: skip
"""The same, of what has a digit."""
IN_NUMBERS = ((Kind.CNPJ, 14, cnpjs), (Kind.CPF, 11, cpfs), (Kind.CARD, 12, cards), (Kind.SSN, 9, ssns), (Kind.PHONE, LEAST, phones))
"""With the digits that such a number has at least."""


def find(text: str) -> list[Span]:
    """In the text's order, without overlaps; the places are those of `text`."""
    if text.isascii():
        return without_overlaps(_all(without_escapes(text)))
    plain, places = in_plain_letters(text)
    spans = without_overlaps(_all(without_escapes(plain)))
    return [Span(places[start], places[end - 1] + 1, kind) for start, end, kind in spans] if places else spans


def _all(text: str) -> Iterator[Span]:
    yield from _signed(text, IN_TEXT)
    if not may_hold_digits(text):
        return
    yield from _signed(text, BY_DIGITS)
    numbers = list(windows(text))
    for window, digits in numbers:
        for kind, least, number_rule in IN_NUMBERS:
            if digits >= least:
                yield from spans_of(kind, number_rule(window))
    if numbers:
        yield from spans_of(Kind.IBAN, ibans(text))


def _signed(text: str, rules: tuple[tuple[Kind, str, Rule], ...]) -> Iterator[Span]:
    for kind, sign, rule in rules:
        if sign in text:
            yield from spans_of(kind, rule(text))
