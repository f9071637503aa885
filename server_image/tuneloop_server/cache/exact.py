"""The exact tier: Redis, which all pods share, and the pod's own memory of what Redis said.

    tuneloop:cache:{KEY}           the answer, as JSON
    tuneloop:cache:{KEY}:denied    a user found it wrong: neither given nor kept while this is there

Memory is filled by reading only, and emptied by what `watch` hears, so that it never says what Redis would not. Written answers
reach it with their first repetition.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from redis.asyncio import Redis

from tuneloop_contracts.answers import EXACT_PREFIX, exact_entry
from tuneloop_server.cache.lru import LruCache
from tuneloop_server.cache.tiers import FORGET_SECONDS, FinishedAnswer, Hit, Lookup
from tuneloop_server.circuit import CircuitBreaker, RedisUnavailable

BUDGET = 0.045
"""Seconds a request may lose to one look at Redis: with all else below the 50 ms that a Redis in trouble may cost an answer."""
MEMORY = 32 * 2**20
"""Bytes of answers in the pod: some ten thousand of a usual length, next to a model that takes gigabytes."""
OVERHEAD = 1000
"""Bytes of an entry beside its text: a few objects and the key."""


class ExactTier:
    """A Tier (see tiers). A Redis that is away is a miss, counted by `on_error`."""

    def __init__(self, breaker: CircuitBreaker, ttl: int, on_error: Callable[[], None], now: Callable[[], float] = time.time) -> None:
        self._breaker = breaker
        self._ttl = ttl
        self._on_error = on_error
        self._now = now
        self._memory: LruCache[FinishedAnswer] = LruCache(MEMORY)
        self._changes = 0
        """Counts what `watch` said, so that an answer overtaken on its way here is not remembered."""
        self._watched = False

    @property
    def remembered(self) -> int:
        """Bytes of answers in the pod's memory."""
        return self._memory.size

    async def find(self, lookup: Lookup) -> Hit | None:
        answer = self._memory.get(lookup.key) or await self._read(lookup.key)
        age = self._now() - answer.written if answer else 0.0
        return Hit(answer, "exact", lookup.key, max(0, int(age))) if answer and age < self._ttl else None

    async def put(self, lookup: Lookup, answer: FinishedAnswer) -> None:
        """The time to live counts from now; a hit does not prolong it, so a popular answer grows old too."""

        async def write(redis: Redis) -> None:
            if not await redis.exists(_denied(lookup.key)):
                await redis.set(exact_entry(lookup.key), json.dumps(asdict(answer)), ex=self._ttl)

        try:
            await self._breaker.run(write)
        except RedisUnavailable:
            self._on_error()

    async def forget(self, key: str) -> None:
        """The denial first: from then on nobody is given it, whatever becomes of the rest."""

        async def deny(redis: Redis) -> None:
            pipe = redis.pipeline(transaction=False)
            pipe.set(_denied(key), "", ex=self._ttl)
            pipe.delete(exact_entry(key))
            await pipe.execute()

        self._memory.drop(key)
        await self._breaker.run(deny, patience=FORGET_SECONDS)

    def watched(self, yes: bool) -> None:
        """Whether changes will be told: only then is memory used, and it begins empty."""
        self._watched = yes
        self.changed(None)

    def changed(self, keys: list[str] | None) -> None:
        """These keys of Redis, or all, are not what they were."""
        self._changes += 1
        if keys is None:
            self._memory.clear()
        for key in keys or ():
            self._memory.drop(_key_of(key))

    async def _read(self, key: str) -> FinishedAnswer | None:
        before = self._changes

        async def get(redis: Redis) -> Any:
            return await redis.mget(exact_entry(key), _denied(key))

        try:
            raw, denied = await self._breaker.run(get)
            answer = FinishedAnswer(**json.loads(raw)) if raw and denied is None else None
        except (RedisUnavailable, ValueError, TypeError):
            self._on_error()
            return None
        if answer and self._watched and before == self._changes:
            self._memory.put(key, answer, OVERHEAD + 2 * len(answer.quoted))
        return answer


def _denied(key: str) -> str:
    return f"{exact_entry(key)}:denied"


def _key_of(name: str) -> str:
    return name.removeprefix(EXACT_PREFIX + "{").partition("}")[0]
