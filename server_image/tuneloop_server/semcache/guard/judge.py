"""The rules in their order."""

from collections.abc import Callable

from tuneloop_server.semcache.guard import rules
from tuneloop_server.semcache.guard.accents import accented
from tuneloop_server.semcache.guard.acronyms import shortened
from tuneloop_server.semcache.guard.align import aligned
from tuneloop_server.semcache.guard.compounds import joined
from tuneloop_server.semcache.guard.phrases import rephrased
from tuneloop_server.semcache.guard.reading import Reading, language_of, read
from tuneloop_server.semcache.guard.spelling import beside

Rule = Callable[[Reading, Reading], str | None]

AS_READ: tuple[Rule, ...] = (
    rules.numbers,
    rules.negation,
    rules.quotation,
    rules.opposites,
    rules.question,
    rules.persons,
)
ALIGNED: tuple[Rule, ...] = (
    rules.names,
    rules.content,
    rules.direction,
    rules.order,
)
"""What these compare is equal also in near words."""


def objection(a: str, b: str) -> str | None:
    """Why the answer to one must not serve the other; None when nothing speaks against it."""
    language = language_of(a, b)
    if not language:
        return "language"
    a, b = _beside(a, b), _beside(b, a)
    one, other = read(rephrased(a, b, language), language), read(b, language)
    if one.folded == other.folded and (one.folded or a == b):  # `?` asks something, and `!` nothing or something else
        return None
    return _first(AS_READ, one, other) or _first(ALIGNED, *aligned(one, other))


def _beside(text: str, other: str) -> str:
    """As the other writes it, where it has a way."""
    return shortened(joined(beside(accented(text, other), other), other), other)


def _first(rules: tuple[Rule, ...], one: Reading, other: Reading) -> str | None:
    return next((reason for rule in rules if (reason := rule(one, other))), None)
