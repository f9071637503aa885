"""Keys of objects that deserve a look: each is worked on by one worker at a time, and asked for often is looked at once.

As in controller-runtime: adding coalesces, errors back off, and what is added while it is being worked on comes again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

from tuneloop_operator.clients.errors import ClientError, TryLater, frames

log = logging.getLogger(__name__)

FIRST_RETRY, LAST_RETRY = 0.5, 30.0
"""Seconds. The last is also how late a mended cluster is noticed at most."""
PASS_LIMIT = 60.0
"""Seconds that one pass may take."""


@dataclass(frozen=True, order=True)
class Key:
    """An object: nothing of its state, since a pass reads that afresh."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


Reconcile = Callable[[Key], Awaitable[float | None]]
"""One pass; returns the seconds until the next one, or None if the object needs none."""
Observe = Callable[[Key, str, float], None]
"""Told of every pass: its key, its outcome (`ok`, `later`, `error`), its seconds."""


class WorkQueue:
    def __init__(self, observe: Observe = lambda key, outcome, seconds: None) -> None:
        self._due: dict[Key, float] = {}
        self._running: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()
        self._observe = observe

    def __len__(self) -> int:
        """How many keys are due now."""
        now = monotonic()
        return sum(due <= now for due in self._due.values())

    def add(self, key: Key) -> None:
        self.add_after(key, 0)

    def add_after(self, key: Key, delay: float) -> None:
        """In `delay` seconds, or sooner if somebody asked for sooner."""
        due = monotonic() + delay
        if key not in self._due or due < self._due[key]:
            self._due[key] = due
            self._changed.set()

    def longest_pass(self) -> float:
        """Seconds that the slowest pass has been at work; more than PASS_LIMIT means that the loop itself is stuck."""
        return max((monotonic() - start for start in self._running.values()), default=0.0)

    async def run(self, reconcile: Reconcile, workers: int = 4) -> None:
        """Works for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work(reconcile))

    async def _work(self, reconcile: Reconcile) -> None:
        while True:
            key = await self._take()
            try:
                await self._pass(reconcile, key)
            finally:
                del self._running[key]
                self._changed.set()

    async def _take(self) -> Key:
        while True:
            self._changed.clear()
            waiting = [(due, key) for key, due in self._due.items() if key not in self._running]
            due, key = min(waiting, default=(float("inf"), None))
            if key is not None and due <= monotonic():
                del self._due[key]
                self._running[key] = monotonic()
                return key
            await self._sleep_until(due)

    async def _sleep_until(self, due: float) -> None:
        try:
            async with asyncio.timeout(None if due == float("inf") else max(due - monotonic(), 0)):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _pass(self, reconcile: Reconcile, key: Key) -> None:
        start, outcome = monotonic(), "ok"
        try:
            async with asyncio.timeout(PASS_LIMIT):
                again = await reconcile(key)
            self._failures.pop(key, None)
            if again is not None:
                self.add_after(key, again)
        except TryLater as error:
            outcome = "later"
            log.info("%s: %s; looking again in %.1f s", key, error, self._back_off(key))
        except ClientError as error:
            outcome = "error"
            log.warning("%s: %s; looking again in %.1f s", key, error, self._back_off(key))
        except Exception as error:  # one object must not stop the others; its text may hold what logs may not
            outcome = "error"
            log.error("%s: %s; looking again in %.1f s\n%s", key, type(error).__name__, self._back_off(key), frames(error))
        self._observe(key, outcome, monotonic() - start)

    def _back_off(self, key: Key) -> float:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay: float = min(FIRST_RETRY * 2 ** min(failures - 1, 16), LAST_RETRY)
        self.add_after(key, delay)
        return delay
