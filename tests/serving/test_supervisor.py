"""What must run for as long as the server does is begun again when it breaks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lightserver import light_server
from tuneloop_contracts.manifest import AdapterManifest
from tuneloop_server import supervisor
from tuneloop_server.manifest.current import CurrentManifest
from tuneloop_server.manifest.source import parse
from tuneloop_server.record.recorder import Recorder
from tuneloop_server.supervisor import supervise
from waiting import until

SECRET = "what a user wrote"


class Breaks:
    """Work that breaks the first time, and then goes as it should."""

    def __init__(self, well: Callable[..., Awaitable[None]]) -> None:
        self.begun = 0
        self._well = well

    async def __call__(self, *given: Any) -> None:
        self.begun += 1
        if self.begun == 1:
            raise KeyError(SECRET)
        await self._well(*given)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.01)


async def test_a_task_that_broke_or_ended_is_begun_again_and_the_log_quotes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def ends() -> None:
        return

    work = Breaks(ends)

    async def in_a_group() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(work())

    told: list[int] = []
    task = asyncio.create_task(supervise("follower", in_a_group, lambda: told.append(work.begun)))
    await until(lambda: work.begun >= 3)
    assert told[:2] == [1, 2]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]
    assert said[0].startswith("the follower task broke: KeyError\n")
    assert "test_supervisor.py" in said[0]
    assert said[1] == "the follower task ended"
    assert SECRET not in caplog.text


async def test_the_record_goes_on_after_its_task_broke(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Recorder.run
    broken = Breaks(whole)
    monkeypatch.setattr(Recorder, "run", lambda recorder: broken(recorder))
    async with light_server(redis_url) as pod:
        await pod.ask()
        await until(lambda: pod.parts.metrics.written._value.get() == 1)
        assert 'tuneloop_task_failures_total{task="record"} 1.0' in (await pod.http.get("/metrics")).text
    assert broken.begun == 2


async def test_one_that_always_breaks_is_begun_ever_more_rarely_until_it_went_well_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve times, the eighth after it had gone well for longer than the longest pause."""
    pauses: list[float] = []
    last, now = asyncio.Event(), 0.0

    async def breaks() -> None:
        nonlocal now
        now += 3600 if len(pauses) == 8 else 1
        raise KeyError

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 12:
            last.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 5.0)
    monkeypatch.setattr(supervisor.asyncio, "sleep", sleep)
    task = asyncio.create_task(supervise("follower", breaks, lambda: None, lambda: now))
    await last.wait()
    task.cancel()
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 5, 10, 20, 40]


def test_a_manifest_that_could_not_be_applied_is_applied_when_it_comes_again() -> None:
    applied = []

    def apply(manifest: AdapterManifest) -> None:
        applied.append(manifest.salt)
        if len(applied) == 1:
            raise RuntimeError

    current, snapshot = CurrentManifest(apply), parse('{"version": 1, "salt": "one"}', "7")
    with pytest.raises(RuntimeError):
        current.take(snapshot)
    for _ in range(2):
        current.take(snapshot)
    assert applied == ["one", "one"]


async def test_a_pod_whose_engine_broke_is_to_be_restarted(redis_url: str) -> None:
    async with light_server(redis_url) as server:
        assert (await server.http.get("/healthz")).status_code == 200
        server.engine.broken = True
        assert (await server.http.get("/healthz")).status_code == 503
