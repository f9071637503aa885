"""Does an adapter change anything? The likeliest tokens after a fixed prompt with it, against the base's."""

import math
from collections.abc import Mapping

from tuneloop_server.engine.base import PROBE_TEXT
from tuneloop_server.engine.vllm.client import Client, Refusal

GONE = 404


async def probe(client: Client, base: str, adapter: str) -> float:
    """The largest difference of a log probability; 0 = without effect, NaN = broken. Raises Away and Refusal.

    The base is asked before and after: what differs between these two is what other requests in the same batch do to the last bits,
    and an adapter has to do more.
    """
    before = await client.next_logprobs(base, PROBE_TEXT)
    try:
        moved = await client.next_logprobs(adapter, PROBE_TEXT)
    except Refusal as refusal:
        if refusal.status == GONE:
            raise
        return math.nan  # a question that the base answers, and an answer that cannot be written: JSON has no NaN
    after = await client.next_logprobs(base, PROBE_TEXT)
    return beyond(distance(before, moved), distance(before, after))


def distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The largest difference of a token's log probability that is certain; NaN if there is one anywhere. Pure."""
    if any(map(math.isnan, [*one.values(), *other.values()])):
        return math.nan
    common = (abs(one[token] - other[token]) for token in one.keys() & other.keys())
    return max(0.0, _beyond_reach(one, other), _beyond_reach(other, one), *common)


def _beyond_reach(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Of tokens that are not among the other's likeliest, and so no likelier there than the least of them."""
    least = min(other.values())
    return max((value - least for token, value in one.items() if token not in other), default=0.0)


def beyond(moved: float, noise: float) -> float:
    """0 for a movement that the base shows by itself. Pure."""
    return 0.0 if moved <= noise else moved
