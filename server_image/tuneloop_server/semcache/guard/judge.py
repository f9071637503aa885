"""The rules in their order."""

from collections.abc import Callable

from tuneloop_server.semcache.guard import rules
from tuneloop_server.semcache.guard.reading import Reading, read

Rule = Callable[[Reading, Reading], str | None]

RULES: tuple[Rule, ...] = (
    rules.language,
    rules.numbers,
    rules.negation,
    rules.quotation,
    rules.opposites,
    rules.names,
    rules.question,
    rules.persons,
    rules.content,
    rules.direction,
    rules.order,
)


def objection(a: str, b: str) -> str | None:
    """Why the answer to one must not serve the other; None when nothing speaks against it."""
    one, other = read(a), read(b)
    if one.folded == other.folded:
        return None
    return next((reason for rule in RULES if (reason := rule(one, other))), None)
