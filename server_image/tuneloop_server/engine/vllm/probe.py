"""Does an adapter change anything? The log probabilities of a fixed prompt with it, against the base's."""

import math
from collections.abc import Sequence

from tuneloop_server.engine.base import PROBE_TEXT
from tuneloop_server.engine.vllm.client import Client, Refusal

GONE = 404


async def probe(client: Client, base: str, adapter: str) -> float:
    """The largest difference; 0 = without effect, NaN = broken. Raises Away and Refusal.

    The base is asked before and after: what differs between these two is what other requests in the same batch do to the last bits,
    and an adapter has to do more.
    """
    before = await client.prompt_logprobs(base, PROBE_TEXT)
    try:
        moved = await client.prompt_logprobs(adapter, PROBE_TEXT)
    except Refusal as refusal:
        if refusal.status == GONE:
            raise
        return math.nan  # a question that the base answers, and an answer that cannot be written: JSON has no NaN
    after = await client.prompt_logprobs(base, PROBE_TEXT)
    return beyond(distance(before, moved), distance(before, after))


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest difference; NaN if there is one anywhere. Pure."""
    differences = [abs(mine - theirs) for mine, theirs in zip(one, other, strict=True)]
    return math.nan if any(map(math.isnan, differences)) else max(differences)


def beyond(moved: float, noise: float) -> float:
    """0 for a movement that the base shows by itself. Pure."""
    return 0.0 if moved <= noise else moved
