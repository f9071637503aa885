"""Whether two answers say the same: the one that was served, and the one that the engine gives to the question itself."""

from tuneloop_server.semcache.embed.base import Embedder
from tuneloop_server.semcache.guard.reading import Reading, read

SHORT = 20
"""Words. A short answer is its facts: numbers, names, a yes or no. In a long one these vary with the wording, and the subject counts."""
ALIKE = 0.8
"""Cosine of two answers that say the same. A greedy model words its answer after the question, so equality cannot be asked for. With
static vectors, 99 % of paragraphs of one handbook on different things lie under 0.77; two halves of one paragraph do too."""


async def agree(served: str, fresh: str, embedder: Embedder) -> bool:
    """Raises EmbedderUnavailable."""
    one, other = read(served), read(fresh)
    if one.folded == other.folded:
        return True
    if min(len(served.split()), len(fresh.split())) <= SHORT and not _same_facts(one, other):
        return False
    rows = await embedder.embed([served, fresh])
    return float(rows[0] @ rows[1]) >= ALIKE


def _same_facts(one: Reading, other: Reading) -> bool:
    named = one.names <= set(other.content) and other.names <= set(one.content)
    return named and set(one.numbers) == set(other.numbers) and bool(one.negations) == bool(other.negations)
