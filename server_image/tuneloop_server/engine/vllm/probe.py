"""Does an adapter change anything? The likeliest tokens after a fixed prompt with it, against the base's."""

import math
from collections.abc import Mapping

from tuneloop_server.engine.base import PROBE_TEXT
from tuneloop_server.engine.vllm.client import Client, VllmError

GONE = 404
MOST_NOISE = 0.05
"""In nats: more than what rounding in bfloat16 does to the log probability of a likely token when a batch is put together differently."""


async def look(client: Client, model: str) -> Mapping[str, float]:
    """What there is to compare. Raises VllmUnavailable and VllmError."""
    return await client.next_logprobs(model, PROBE_TEXT)


async def probe(client: Client, base: str, alone: Mapping[str, float], adapter: str) -> float:
    """The largest difference of a log probability; 0 = without effect, NaN = broken. Raises VllmUnavailable and VllmError.

    `alone`: the base's look, from when nothing else ran. It is looked at again: what differs is what other requests in the same batch
    do, and an adapter has to do more. But not more than MOST_NOISE: vLLM 0.32 on a CPU gives a base request that is batched with those
    of adapters the adapter in its last slot (index -1 in its lora/ops/torch_ops/lora_ops.py).
    """
    try:
        moved = await look(client, adapter)
    except VllmError as refusal:
        if refusal.status == GONE:
            raise
        return math.nan  # a question that the base answers, and an answer that cannot be written: JSON has no NaN
    return beyond(distance(alone, moved), distance(alone, await look(client, base)))


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
    return 0.0 if moved <= min(noise, MOST_NOISE) else moved
