"""Is the record's Redis fit to keep training data? Looked at now and then, and reported to the operator."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import ResponseError

from tuneloop_contracts.pods import RecordedReport, RedisState
from tuneloop_contracts.record import counts_in, meta_key
from tuneloop_server.circuit import CircuitBreaker, RedisUnavailable
from tuneloop_server.record.recorder import TIMEOUT

log = logging.getLogger(__name__)

PERIOD = 5.0
"""Seconds between two looks."""


MEANING = {
    RedisState.OK: "ready to record",
    RedisState.OFF: "none; nothing is recorded",
    RedisState.UNREACHABLE: "out of reach; the record waits in memory, and what does not fit is dropped",
    RedisState.UNAUTHORIZED: "refuses our password; mend the Secret",
    RedisState.UNSAFE_EVICTION: "its maxmemory-policy may delete training data; use noeviction, or a Redis apart for the record",
}


class RecordHealth:
    def __init__(self, breaker: CircuitBreaker | None, target: str, on_change: Callable[[], None]) -> None:
        self._breaker = breaker
        self._target = target
        self._on_change = on_change
        self.state = RedisState.OFF if breaker is None else RedisState.UNREACHABLE

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(PERIOD)

    async def look(self) -> None:
        before, self.state = self.state, await self._judge()
        if self.state is not before:
            log.log(logging.INFO if self.state is RedisState.OK else logging.WARNING, "the record's Redis: %s", MEANING[self.state])
            self._on_change()

    async def recorded(self) -> RecordedReport:
        """Examples so far by domain; empty while Redis is unavailable."""

        async def meta(redis: Redis) -> Any:
            return await redis.hgetall(meta_key(self._target))

        try:
            fields = await self._breaker.run(meta) if self._breaker else {}
        except RedisUnavailable:
            fields = {}
        return RecordedReport(recorded=counts_in(fields), redis=self.state)

    async def _judge(self) -> RedisState:
        if self._breaker is None:
            return RedisState.OFF
        try:
            # also behind an open circuit, which the recorder keeps so: all the same it matters why
            memory = await self._breaker.run(_memory_settings, patience=TIMEOUT)
        except RedisUnavailable as unavailable:
            return RedisState.UNAUTHORIZED if unavailable.unauthorized else RedisState.UNREACHABLE
        return RedisState.UNSAFE_EVICTION if any(map(may_evict_records, memory)) else RedisState.OK


def may_evict_records(settings: Mapping[str, str]) -> bool:
    """With a memory limit, every policy but noeviction may delete a day stream: those have an expiry too, so `volatile-*` takes them
    as well. Where the settings may not be read (managed services), nothing is known and nothing is said. Pure."""
    limited = settings.get("maxmemory", "0") != "0"
    return limited and settings.get("maxmemory-policy", "noeviction") != "noeviction"


async def _memory_settings(redis: Redis) -> list[Mapping[str, str]]:
    """Of each node that holds keys."""
    await redis.ping()
    try:
        if isinstance(redis, RedisCluster):
            told: Any = await redis.config_get("maxmemory*", target_nodes=RedisCluster.PRIMARIES)
            return list(told.values())
        alone: Any = await redis.config_get("maxmemory*")
        return [alone]
    except ResponseError:
        return []
