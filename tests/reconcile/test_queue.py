"""The work queue: what is promised of it is what every pass relies on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tuneloop_operator.clients.errors import Unreachable
from tuneloop_operator.queue import Key, WorkQueue

A, B = Key("Job", "ns", "a"), Key("Job", "ns", "b")


@asynccontextmanager
async def working(queue: WorkQueue, reconcile: Callable[[Key], Awaitable[float | None]], workers: int = 2) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run(reconcile, workers))
    try:
        async with asyncio.timeout(10):
            yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_key_added_often_is_looked_at_once() -> None:
    queue, seen = WorkQueue(), asyncio.Queue[Key]()

    async def reconcile(key: Key) -> None:
        seen.put_nowait(key)

    for _ in range(5):
        queue.add(A)
    queue.add(B)
    async with working(queue, reconcile, workers=1):
        assert {await seen.get(), await seen.get()} == {A, B}
        queue.add(A)
        assert await seen.get() == A
    assert seen.empty()


async def test_one_key_is_never_worked_on_twice_at_once_and_comes_again_if_added_meanwhile() -> None:
    queue, gate, starts = WorkQueue(), asyncio.Event(), asyncio.Queue[Key]()
    running: set[Key] = set()

    async def reconcile(key: Key) -> None:
        assert key not in running
        running.add(key)
        starts.put_nowait(key)
        await gate.wait()
        running.remove(key)

    queue.add(A)
    async with working(queue, reconcile):
        assert await starts.get() == A
        queue.add(A)
        queue.add(B)
        assert await starts.get() == B  # beside A; the other A has to wait
        gate.set()
        assert await starts.get() == A


async def test_another_key_is_not_held_up_by_a_slow_one() -> None:
    queue, seen, never = WorkQueue(), asyncio.Queue[Key](), asyncio.Event()

    async def reconcile(key: Key) -> None:
        seen.put_nowait(key)
        if key == A:
            await never.wait()

    queue.add(A)
    queue.add(B)
    async with working(queue, reconcile):
        assert {await seen.get(), await seen.get()} == {A, B}
        assert queue.longest_pass() > 0


async def test_sooner_wins() -> None:
    queue, seen = WorkQueue(), asyncio.Queue[Key]()

    async def reconcile(key: Key) -> None:
        seen.put_nowait(key)

    async with working(queue, reconcile):
        queue.add_after(A, 3600)
        assert len(queue) == 0
        queue.add_after(A, 0.01)
        queue.add_after(A, 3600)
        assert await seen.get() == A


async def test_what_a_pass_returns_is_when_it_comes_again() -> None:
    queue, seen = WorkQueue(), asyncio.Queue[Key]()

    async def reconcile(key: Key) -> float:
        seen.put_nowait(key)
        return 0.01

    queue.add(A)
    async with working(queue, reconcile):
        assert [await seen.get(), await seen.get(), await seen.get()] == [A, A, A]


async def test_errors_back_off_and_success_forgets_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outcomes, done = [], asyncio.Event()
    errors = [Unreachable("GET /x: 503"), RuntimeError("password=hunter2"), None]
    queue = WorkQueue(lambda key, outcome, seconds: outcomes.append(outcome))

    async def reconcile(key: Key) -> None:
        if error := errors.pop(0):
            raise error
        done.set()

    queue.add(A)
    async with working(queue, reconcile):
        await done.wait()
    assert outcomes[:2] == ["later", "error"]
    assert "Job ns/a: GET /x: 503; looking again in 0.5 s" in caplog.text
    assert "RuntimeError; looking again in 1.0 s" in caplog.text
    assert "hunter2" not in caplog.text
