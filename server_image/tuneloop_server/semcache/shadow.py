"""Verifies a share of the hits by generating them again when nothing else is to do, so that the false-hit rate is known."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tuneloop_server.cache.tiers import FinishedAnswer, Hit, Lookup
from tuneloop_server.circuit import RedisUnavailable
from tuneloop_server.errors import ApiError
from tuneloop_server.semcache.agree import agree
from tuneloop_server.semcache.embed.base import Embedder, EmbedderUnavailable
from tuneloop_server.semcache.metrics import SemanticMetrics
from tuneloop_server.semcache.tier import SemanticTier

log = logging.getLogger(__name__)

SHARE = 0.05
"""Of the semantic hits. At 1,000 hits a day, a rate of 1 % shows after some ten days as half a false hit a day; more costs more engine."""
WAITING = 32
"""Hits that wait for an idle engine; what comes on top is not verified, and counted."""
POLL = 0.5
"""Seconds between two looks whether the engine is idle."""

Regenerate = Callable[[Lookup], Awaitable[str]]
"""The answer that the engine gives to this request, past every cache. Raises ApiError."""


class _Sample(NamedTuple):
    lookup: Lookup
    hit: Hit


class ShadowVerifier:
    def __init__(
        self,
        tier: SemanticTier,
        embedder: Embedder,
        regenerate: Regenerate,
        idle: Callable[[], bool],
        metrics: SemanticMetrics,
        draw: Callable[[], float],
    ) -> None:
        """`draw`: evenly from [0, 1), as random.random."""
        self._tier = tier
        self._embedder = embedder
        self._regenerate = regenerate
        self._idle = idle
        self._metrics = metrics
        self._draw = draw
        self._queue: asyncio.Queue[_Sample] = asyncio.Queue(WAITING)

    def offer(self, lookup: Lookup, hit: Hit) -> None:
        """After each semantic hit; never blocks."""
        if self._draw() >= SHARE:
            return
        try:
            self._queue.put_nowait(_Sample(lookup, hit))
        except asyncio.QueueFull:
            self._metrics.skipped.inc()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            sample = await self._queue.get()
            while not self._idle():  # noqa: ASYNC110 - the engine tells nobody when it falls idle
                await asyncio.sleep(POLL)
            await self._verify(sample)

    async def _verify(self, sample: _Sample) -> None:
        """An entry that was wrong for one question is taken away: which others it would be wrong for, nobody knows."""
        try:
            fresh = await self._regenerate(sample.lookup)
            right = await agree(sample.hit.answer.text, fresh, self._embedder)
        except (ApiError, EmbedderUnavailable):
            self._metrics.skipped.inc()
            return
        self._metrics.judged(sample.lookup.domain, "right" if right else "wrong")
        if not right:
            log.warning("a semantic hit of domain %s was wrong; its entry is taken away", sample.lookup.domain or "-")
            await self._drop(sample.hit.key)

    async def _drop(self, key: str) -> None:
        try:
            await self._tier.forget(key)
        except RedisUnavailable:
            log.warning("a wrong entry could not be taken out of Redis; this pod serves it no more")


class VerifiedTier:
    """The tier, with a share of its hits verified."""

    def __init__(self, tier: SemanticTier, shadow: ShadowVerifier) -> None:
        self._tier = tier
        self._shadow = shadow

    async def find(self, lookup: Lookup) -> Hit | None:
        hit = await self._tier.find(lookup)
        if hit:
            self._shadow.offer(lookup, hit)
        return hit

    async def put(self, lookup: Lookup, answer: FinishedAnswer) -> None:
        await self._tier.put(lookup, answer)

    async def forget(self, key: str) -> None:
        await self._tier.forget(key)
