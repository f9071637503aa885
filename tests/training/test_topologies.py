"""A harvest from a Redis under a sentinel and from a cluster; both may change in the middle of it."""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from redis.cluster import RedisCluster, key_slot

from redisserver import RedisServer
from redistopologies import clustered, move_slot, under_sentinel
from training.traffic import NOW, TARGET, judge_on, record, write_to
from tuneloop_contracts.jobs import RedisMode
from tuneloop_contracts.record import Feedback, meta_key, record_stream, repeats_key
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.harvest import pages
from tuneloop_trainer.harvest.connect import connect
from tuneloop_trainer.harvest.retry import RetryPolicy
from tuneloop_trainer.harvest.source import Source
from tuneloop_trainer.inspection import describe

YESTERDAY = NOW - timedelta(days=1)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE", 10)


def read(client: "redis.Redis", meddle: Callable[[], object]) -> list[str]:
    """Ids, newest first; something happens after the fifteenth, which is in the middle of the second page."""
    retry = RetryPolicy(lambda reason: None, time.monotonic, lambda seconds: time.sleep(min(seconds, 0.1)))
    source = Source(client, retry, TARGET, NOW - timedelta(days=30), NOW)
    ids = []
    with closing(source.entries(source.read_watermarks(source.shards()))) as entries:
        for entry in entries:
            assert entry.record
            ids.append(entry.record.id)
            if len(ids) == 15:
                meddle()
    assert source.lost == 0
    assert source.feedback(source.shards(), NOW) == {"i-3": Feedback("i-3", "up")}
    source.confirm(1)
    return ids


def filled(client: "redis.Redis") -> None:
    write_to(client, (record(n) for n in range(60)), at=YESTERDAY, shards=2)
    judge_on(client, Feedback("i-3", "up"), at=YESTERDAY)
    for shard in range(2):
        client.hset(repeats_key(TARGET, shard, YESTERDAY.date()), mapping={"i-1": 2, "i-2": 3})


EVERY = [f"i-{n}" for n in reversed(range(60))]


def test_under_a_sentinel_the_harvest_outlives_its_master(tmp_path: Path) -> None:
    with under_sentinel(tmp_path) as (url, master), connect(url, RedisMode.SENTINEL) as client:
        filled(client)
        assert client.wait(1, 5000) == 1
        assert read(client, master.stop) == EVERY


def test_a_cluster_is_read_while_its_slots_move(tmp_path: Path) -> None:
    with clustered(tmp_path) as nodes, connect(nodes[1].url, RedisMode.CLUSTER) as client:
        filled(client)
        slot = key_slot(record_stream(TARGET, 0, YESTERDAY.date()).encode())
        assert read(client, lambda: move_slot(nodes, slot)) == EVERY
        assert isinstance(client, RedisCluster)
        counted = describe(client, meta_key(TARGET))
        assert counted["days"] == [{"day": "2026-03-09", "streams": 3, "entries": 60, "feedback": 1, "repeated": 10}]


def test_a_cluster_that_is_away_is_waited_for() -> None:
    server = RedisServer()
    with pytest.raises(redis.ConnectionError):
        connect(server.url, RedisMode.CLUSTER)


@pytest.mark.parametrize("url", ["redis://sentinel:26379", "redis://:hunter2@/mymaster", "redis://:hunter2@sentinel:port/mymaster"])
def test_a_sentinel_needs_an_address_and_a_service(url: str) -> None:
    with pytest.raises(NeedsEdit, match="service") as refused:
        connect(url, RedisMode.SENTINEL)
    assert "hunter2" not in refused.value.fault.message


def test_passwords_go_to_those_they_are_for() -> None:
    with connect("rediss://me:secret@one,two:5000/mymaster/3?sentinel_password=other", RedisMode.SENTINEL) as client:
        pool = client.connection_pool
        options = pool.connection_kwargs
        assert (options["username"], options["password"], options["db"]) == ("me", "secret", 3)
        sentinels = pool.sentinel_manager.sentinels  # type: ignore[attr-defined]
        asked = [one.connection_pool.connection_kwargs for one in sentinels]
        assert [(one["host"], one["port"], one["password"]) for one in asked] == [("one", 26379, "other"), ("two", 5000, "other")]
