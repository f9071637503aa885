"""A connection to a Redis that may be away: known to be so, it costs a request nothing."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError, RedisError

log = logging.getLogger(__name__)

T = TypeVar("T")

SOCKET_TIMEOUT = 5.0
"""Seconds; only so that no connection hangs for ever: how long a piece of work may take is `within`'s to say."""
TICK = 0.005
"""Seconds."""

FIRST_PAUSE, LAST_PAUSE = 0.5, 5.0
"""Seconds without a try after a failure; doubling."""


class Away(Exception):
    """Try later; `unauthorized` says that the password must be mended first."""

    def __init__(self, *, unauthorized: bool = False) -> None:
        super().__init__("Redis is away")
        self.unauthorized = unauthorized


class Link:
    """A circuit breaker around one client: after a failure it answers Away at once, and lets one try through when the pause is over."""

    def __init__(self, url: str, *, name: str, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`timeout`: seconds for a whole piece of work, connecting included (see `within`)."""
        self._client: Redis = Redis.from_url(
            url, socket_timeout=SOCKET_TIMEOUT, socket_connect_timeout=SOCKET_TIMEOUT, retry=Retry(NoBackoff(), 0), decode_responses=True
        )  # no retries: the client's own default of ten would hold a request for seconds
        self._timeout = timeout
        self._name = name
        self._clock = clock
        self._closed_until = 0.0
        self._pause = FIRST_PAUSE
        self.up: bool | None = None
        """None before the first try."""

    async def run(self, work: Callable[[Redis], Awaitable[T]], *, patience: float | None = None) -> T:
        """Raises Away. With `patience` (seconds, instead of the timeout) it is tried even behind an open circuit: for what must not be
        given up lightly."""
        if patience is None and self._clock() < self._closed_until:
            raise Away
        try:
            async with within(patience or self._timeout):
                result = await work(self._client)
        except OutOfMemoryError as error:
            raise Away from error  # it takes nothing at the moment, but what is in it can be read
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)
            raise Away(unauthorized=isinstance(error, AuthenticationError | NoPermissionError)) from error
        self._came_back()
        return result

    async def close(self) -> None:
        await self._client.aclose()

    def _failed(self, error: Exception) -> None:
        self._closed_until = self._clock() + self._pause
        self._pause = min(2 * self._pause, LAST_PAUSE)
        if self.up is not False:
            log.warning("Redis of the %s is away: %s", self._name, type(error).__name__)  # its text may hold the URL
        self.up = False

    def _came_back(self) -> None:
        if self.up is False:
            log.info("Redis of the %s is back", self._name)
        self.up, self._pause, self._closed_until = True, FIRST_PAUSE, 0.0


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
