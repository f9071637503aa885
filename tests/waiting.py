"""Waiting, in tests: for a state and never for a time, with a deadline; and work beside a test, which ends with it."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

DEADLINE = 20.0


async def until(reached: Callable[[], object | Awaitable[object]], seconds: float = DEADLINE) -> None:
    """Raises TimeoutError. It polls: what tests look at are plain values, which tell nobody that they have changed."""
    async with asyncio.timeout(seconds):
        while not (await found if inspect.isawaitable(found := reached()) else found):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def wait_until(reached: Callable[[], object], what: str, seconds: float = DEADLINE, *, every: float = 0.02) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(every)


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, Any]) -> AsyncIterator["asyncio.Task[Any]"]:
    """As a task, until the test is through with it, however that ends."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
