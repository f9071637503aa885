"""A place in a text, and the kind of thing that stands there."""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What is taken out, the surest first: where two overlap, the earlier one here stands."""

    PEM = "Pem"
    """A private key between its BEGIN and END lines; certificates and public keys are public."""
    URL = "Url"
    """The whole of a URL that holds a user's password."""
    JWT = "Jwt"
    API_KEY = "ApiKey"
    """Also tokens and passwords, where the text calls them so and they look random."""
    EMAIL = "Email"
    IBAN = "Iban"
    CNPJ = "Cnpj"
    CPF = "Cpf"
    CARD = "Card"
    SSN = "Ssn"
    IP = "Ip"
    """IPv4 and IPv6; not the local host, masks, or versions of four parts."""
    PHONE = "Phone"
    PERSON = "Person"
    """Only with Presidio."""
    ADDRESS = "Address"
    """Only with Presidio."""


class Span(NamedTuple):
    start: int
    end: int
    """In characters of the text; the first one after it."""
    kind: Kind


Find = Callable[[str], list[Span]]
"""From a text to what must go, in order, without overlaps."""

_RANK = {kind: rank for rank, kind in enumerate(Kind)}


def without_overlaps(spans: Iterable[Span]) -> list[Span]:
    """The surest kind wins, then the longer span; the result is in the text's order."""
    kept: list[Span] = []
    for span in sorted(spans):
        if kept and kept[-1].end > span.start and _surer(span, kept[-1]):
            kept.pop()
        if not kept or kept[-1].end <= span.start:
            kept.append(span)
    return kept


def _surer(one: Span, other: Span) -> bool:
    return (_RANK[one.kind], one.start - one.end) < (_RANK[other.kind], other.start - other.end)


def spans_of(kind: Kind, places: Iterable[tuple[int, int]]) -> Iterator[Span]:
    return (Span(start, end, kind) for start, end in places)
