"""Reading streams: in which order, up to where, and over what breaks."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from itertools import islice

import pytest
import redis

from training.traffic import NOW, TARGET, record, write
from tuneloop_contracts.dataset import StreamRead
from tuneloop_contracts.record import record_stream
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.harvest import pages
from tuneloop_trainer.harvest.connect import connect, require_hiredis
from tuneloop_trainer.harvest.retry import RetryPolicy
from tuneloop_trainer.harvest.source import Source

YESTERDAY = NOW - timedelta(days=1)
STREAM = record_stream(TARGET, 0, YESTERDAY.date())


@pytest.fixture
def client(redis_url: str) -> "Iterator[redis.Redis]":
    with connect(redis_url) as connected:
        yield connected


@pytest.fixture
def source(client: "redis.Redis", monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setattr(pages, "PAGE", 4)
    retry = RetryPolicy(lambda reason: None, time.monotonic, lambda seconds: None)
    return Source(client, retry, TARGET, NOW - timedelta(days=30), NOW)


def names(source: Source, most: int | None = None) -> list[str]:
    with closing(source.entries(source.read_watermarks(source.shards()))) as entries:
        return [entry.record.id for entry in islice(entries, most) if entry.record]


def test_the_newest_comes_first_over_days_and_shards(redis_url: str, source: Source) -> None:
    write(redis_url, (record(n) for n in range(10)), at=NOW - timedelta(days=3), shards=3)
    write(redis_url, (record(n) for n in range(10, 20)), shards=3)
    assert names(source) == [f"i-{n}" for n in reversed(range(20))]


def test_what_comes_after_the_stock_is_the_next_harvests(redis_url: str, source: Source) -> None:
    write(redis_url, (record(n) for n in range(10)))
    watermarks = source.read_watermarks(1)
    write(redis_url, (record(n) for n in range(10, 20)), at=YESTERDAY + timedelta(seconds=1))
    assert len(list(source.entries(watermarks))) == 10
    first, last = (f"{int(YESTERDAY.timestamp() * 1000) + n}-0" for n in (0, 9))
    assert source.streams == [StreamRead(name=STREAM, first=first, last=last, count=10)]


def test_whoever_has_enough_may_stop(redis_url: str, client: "redis.Redis", source: Source) -> None:
    write(redis_url, (record(n) for n in range(10)), at=NOW - timedelta(days=3))
    write(redis_url, (record(n) for n in range(10, 20)))
    assert names(source, 6) == [f"i-{n}" for n in range(19, 13, -1)]
    assert [(stream.name, stream.count, stream.lost) for stream in source.streams] == [(STREAM, 8, 0)]
    assert client.ping() is True  # no reply to a page that nobody waits for


def test_a_connection_that_breaks_in_mid_stream_costs_no_entry(redis_url: str, source: Source) -> None:
    write(redis_url, (record(n) for n in range(40)))
    read = []
    with redis.Redis.from_url(redis_url) as other:
        for entry in source.entries(source.read_watermarks(1)):
            assert entry.record
            read.append(entry.record.id)
            if len(read) in (4, 17):
                other.client_kill_filter(_type="normal", skipme=True)
    assert read == [f"i-{n}" for n in reversed(range(40))]


def test_reading_without_the_c_parser_is_refused() -> None:
    require_hiredis(True)
    with pytest.raises(NeedsEdit, match="hiredis"):
        require_hiredis(False)
