"""A circuit breaker around a Redis client: while Redis is known to be unavailable, it costs a request nothing."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
)

from tuneloop_contracts.jobs import RedisMode
from tuneloop_server.connect import Nodes, connect, nodes

log = logging.getLogger(__name__)

T = TypeVar("T")

TICK = 0.005
"""Seconds."""

FIRST_PAUSE, LAST_PAUSE = 0.5, 5.0
"""Seconds without a try after a failure; doubling."""

TURNS = 50
"""Pieces of work at the same time. The client opens a connection for each, and breaks at the hundredth: a wait for one's turn is shorter
than the crowd that makes it, and no sign of a Redis in trouble."""

ONLY_READ = ("MISCONF", "NOREPLICAS")
"""How Redis begins to say that it writes nothing at the moment: its disk is full, or its replicas are gone."""


class RedisUnavailable(Exception):
    """Try later; `unauthorized` says that the password must be mended first."""

    def __init__(self, *, unauthorized: bool = False) -> None:
        super().__init__("Redis is away")
        self.unauthorized = unauthorized


class CircuitBreaker:
    """Around one client: opens after a failure and raises RedisUnavailable at once; lets one call through when the pause is over."""

    def __init__(
        self, url: str, mode: RedisMode = RedisMode.STANDALONE, *, name: str, timeout: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`timeout`: seconds for a whole piece of work, connecting included (see `within`)."""
        self._client = connect(url, mode)
        self._timeout = timeout
        self._name = name
        self._clock = clock
        self._open_until = 0.0
        self._pause = FIRST_PAUSE
        self._turns = asyncio.Semaphore(TURNS)
        self._moved = 0
        """Times that another node may have come to answer at the same address."""
        self.up: bool | None = None
        """None before the first try."""

    async def run(self, work: Callable[[Redis], Awaitable[T]], *, patience: float | None = None) -> T:
        """Raises RedisUnavailable. With `patience` (seconds, instead of the timeout) it is tried even while the circuit is open:
        for what must not be given up lightly."""
        if patience is not None:
            return await self._try(work, patience)
        async with self._turns:
            if self._clock() < self._open_until:
                raise RedisUnavailable
            return await self._try(work, self._timeout)

    async def _try(self, work: Callable[[Redis], Awaitable[T]], seconds: float) -> T:
        try:
            async with within(seconds):
                result = await work(self._client)
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
            if isinstance(error, OutOfMemoryError) or str(error).startswith(ONLY_READ):
                raise RedisUnavailable from error  # what is in it can be read
            self._failed(error)
            if isinstance(error, ReadOnlyError):
                await self._leave_replica()
            why = error.__cause__ if isinstance(error, RedisClusterException) else error
            raise RedisUnavailable(unauthorized=isinstance(why, AuthenticationError | NoPermissionError)) from error
        self._came_back()
        return result

    async def _leave_replica(self) -> None:
        """A connection stays with its node when that is a replica from now on, and the address another node's."""
        self._moved += 1
        await self._client.aclose()

    def nodes(self) -> Nodes:
        """Of those that hold keys, as the last piece of work found them."""
        return {f"{name} {self._moved}": dial for name, dial in nodes(self._client).items()}

    async def close(self) -> None:
        await self._client.aclose()

    def _failed(self, error: Exception) -> None:
        self._open_until = self._clock() + self._pause
        self._pause = min(2 * self._pause, LAST_PAUSE)
        if self.up is not False:
            log.warning("Redis of the %s is away: %s", self._name, type(error).__name__)  # its text may hold the URL
        self.up = False

    def _came_back(self) -> None:
        if self.up is False:
            log.info("Redis of the %s is back", self._name)
        self.up, self._pause, self._open_until = True, FIRST_PAUSE, 0.0


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Raises TimeoutError after so many seconds of a loop that was free to run. Those in which it was not, since the model next to it
    had the processor, are counted as one tick: an answer that lies in the socket meanwhile is not late."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None
    async with asyncio.timeout(None) as limit:

        def tick(left: int) -> None:
            nonlocal timer
            if left > 0:
                timer = loop.call_later(TICK, tick, left - 1)
            else:
                limit.reschedule(loop.time())

        tick(max(round(seconds / TICK), 1))
        try:
            yield
        finally:
            if timer:
                timer.cancel()
