"""Following the manifest as a file, as the kubelet and as people change it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tuneloop_contracts.manifest import AdapterManifest
from tuneloop_server.manifest.current import Current
from tuneloop_server.manifest.file import follow_file
from tuneloop_server.manifest.follow import follow, how_to_permit
from tuneloop_server.manifest.source import EMPTY, BadManifest, parse

DEADLINE = 10.0


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneloop_server.mounted.PERIOD", 0.01)


def text(salt: str) -> str:
    return json.dumps(AdapterManifest(salt=salt).to_wire())


@contextlib.asynccontextmanager
async def followed(path: Path) -> AsyncIterator[Callable[[Callable[[Current], bool]], object]]:
    current = Current(lambda _: None)
    task = asyncio.create_task(follow_file(path, current.take))

    async def until(reached: Callable[[Current], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not reached(current):  # noqa: ASYNC110 - it polls, so do we
                await asyncio.sleep(0.01)

    yield until
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_the_kubelets_swap_of_links(tmp_path: Path) -> None:
    """A mounted ConfigMap: manifest.json -> ..data/manifest.json, and ..data -> a folder by time, swapped whole."""

    def mount(stamp: str, salt: str) -> None:
        (tmp_path / stamp).mkdir()
        (tmp_path / stamp / "manifest.json").write_text(text(salt))
        (tmp_path / "..data_tmp").symlink_to(stamp)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    mount("..2026_01", "one")
    (tmp_path / "manifest.json").symlink_to("..data/manifest.json")
    async with followed(tmp_path / "manifest.json") as until:
        await until(lambda current: current.manifest.salt == "one")  # type: ignore[misc]
        mount("..2026_02", "two")
        await until(lambda current: current.manifest.salt == "two")  # type: ignore[misc]


async def test_absent_then_there_then_broken_then_gone_then_back(tmp_path: Path) -> None:
    """Absent at first: the base alone. Broken or gone later: what was there goes on."""
    path = tmp_path / "manifest.json"
    async with followed(path) as until:
        await until(lambda current: current.known)  # type: ignore[misc]
        path.write_text(text("one"))
        await until(lambda current: current.manifest.salt == "one")  # type: ignore[misc]
        path.write_text("{")
        path.unlink()
        path.write_text(text("two"))
        await until(lambda current: current.manifest.salt == "two")  # type: ignore[misc]


def test_vanishing_is_no_order_to_drop_everything() -> None:
    applied = []
    current = Current(applied.append)
    current.take(EMPTY)
    current.take(parse(text("one"), "7"))
    current.take(EMPTY)
    current.take(parse(text("one"), "7"))
    assert [manifest.salt for manifest in applied] == ["", "one"]
    current.take(parse(json.dumps({"version": 1}), "8"))
    assert [manifest.salt for manifest in applied] == ["", "one", ""], "an empty manifest that was written is an order"


@pytest.mark.parametrize("bad", ["", "{", "[]", '{"version": 2}', '{"adapters": [{"name": "x"}]}'])
def test_a_manifest_that_cannot_be_read(bad: str) -> None:
    with pytest.raises(BadManifest):
        parse(bad)


def test_what_a_later_operator_adds_is_ignored() -> None:
    assert parse('{"version": 1, "salt": "s", "somethingNew": 1}').manifest.salt == "s"


async def test_outside_a_cluster_without_a_file_the_base_alone() -> None:
    current = Current(lambda _: None)
    task = asyncio.create_task(follow("chat/chat-llm", None, {}, current.take))
    async with asyncio.timeout(DEADLINE):
        while not current.known:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not task.done(), "it goes on for as long as the server runs"
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def test_the_log_says_how_to_permit_the_watch() -> None:
    told = how_to_permit("chat", "chat-llm-adapters", Path("/etc/tuneloop/manifest.json"))
    for needed in ("chat/chat-llm-adapters", "get, list, watch", "MANIFEST_FILE", "/etc/tuneloop/manifest.json"):
        assert needed in told
