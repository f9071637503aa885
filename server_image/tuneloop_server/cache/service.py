"""Answers that were finished before. Each tier is asked in turn; today there is one, by exact match."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from redis.asyncio import Redis

from tuneloop_server.link import Away, Link

BUDGET = 0.1
"""Seconds a request may lose to the cache; after that, Redis is left alone for a while."""


@dataclass(frozen=True)
class Stored:
    """A finished answer; errors and broken-off ones never come here."""

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    origin: str
    """The interaction that it was generated in; "" if that went unrecorded."""
    written: float
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Hit:
    answer: Stored
    tier: str
    age: int
    """Seconds."""


class AnswerCache:
    """Fails open: a Redis that is away is a miss, counted by `on_error`."""

    def __init__(self, link: Link, ttl: int, on_error: Callable[[], None], now: Callable[[], float] = time.time) -> None:
        self._link = link
        self._ttl = ttl
        self._on_error = on_error
        self._now = now

    async def find(self, key: str) -> Hit | None:
        async def get(redis: Redis) -> Any:
            return await redis.get(key)

        try:
            raw = await self._link.run(get)
            stored = Stored(**json.loads(raw)) if raw else None
        except (Away, ValueError, TypeError):
            self._on_error()
            return None
        return Hit(stored, "exact", max(0, int(self._now() - stored.written))) if stored else None

    async def put(self, key: str, answer: Stored) -> None:
        """The time to live counts from now; a hit does not prolong it, so a popular answer grows old too."""

        async def set_(redis: Redis) -> None:
            await redis.set(key, json.dumps(asdict(answer)), ex=self._ttl)

        try:
            await self._link.run(set_)
        except Away:
            self._on_error()
