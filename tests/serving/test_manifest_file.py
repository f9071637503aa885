"""Following the manifest as a file, as the kubelet and as people change it."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tuneloop_contracts.manifest import AdapterManifest
from tuneloop_server.manifest.current import CurrentManifest
from tuneloop_server.manifest.file import follow_file
from tuneloop_server.manifest.follow import follow, how_to_permit
from tuneloop_server.manifest.source import EMPTY, BadManifest, parse
from waiting import beside, until


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneloop_server.mounted.PERIOD", 0.01)


def text(salt: str) -> str:
    return json.dumps(AdapterManifest(salt=salt).to_wire())


@contextlib.asynccontextmanager
async def followed(path: Path) -> AsyncIterator[CurrentManifest]:
    current = CurrentManifest(lambda _: None)
    async with beside(follow_file(path, current.take)):
        yield current


async def test_the_kubelets_swap_of_links(tmp_path: Path) -> None:
    """A mounted ConfigMap: manifest.json -> ..data/manifest.json, and ..data -> a folder by time, swapped whole."""

    def mount(stamp: str, salt: str) -> None:
        (tmp_path / stamp).mkdir()
        (tmp_path / stamp / "manifest.json").write_text(text(salt))
        (tmp_path / "..data_tmp").symlink_to(stamp)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    mount("..2026_01", "one")
    (tmp_path / "manifest.json").symlink_to("..data/manifest.json")
    async with followed(tmp_path / "manifest.json") as current:
        await until(lambda: current.manifest.salt == "one")
        mount("..2026_02", "two")
        await until(lambda: current.manifest.salt == "two")


async def test_absent_then_there_then_broken_then_gone_then_back(tmp_path: Path) -> None:
    """Absent at first: the base alone. Broken or gone later: what was there goes on."""
    path = tmp_path / "manifest.json"
    async with followed(path) as current:
        await until(lambda: current.known)
        path.write_text(text("one"))
        await until(lambda: current.manifest.salt == "one")
        path.write_text("{")
        path.unlink()
        path.write_text(text("two"))
        await until(lambda: current.manifest.salt == "two")


def test_vanishing_is_no_order_to_drop_everything() -> None:
    applied = []
    current = CurrentManifest(applied.append)
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
    current = CurrentManifest(lambda _: None)
    async with beside(follow("chat/chat-llm", None, {}, current.take)) as task:
        await until(lambda: current.known)
        assert not task.done(), "it goes on for as long as the server runs"


def test_the_log_says_how_to_permit_the_watch() -> None:
    told = how_to_permit("chat", "chat-llm-adapters", Path("/etc/tuneloop/manifest.json"))
    for needed in ("chat/chat-llm-adapters", "get, list, watch", "MANIFEST_FILE", "/etc/tuneloop/manifest.json"):
        assert needed in told
