"""Sealed days: the same rows as without them, less asked of Redis, and what left Redis is still there."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from training.test_harvest import folder_of, settings
from training.traffic import NOW, TARGET, by_hand, judge, record, write
from tuneloop_contracts.dataset import DATA_FILES, Dataset
from tuneloop_contracts.record import Feedback, feedback_stream, record_stream
from tuneloop_contracts.stores import Store
from tuneloop_trainer.harvest import archive as archiving
from tuneloop_trainer.harvest.collect import Harvest
from tuneloop_trainer.harvest.decode import entry_id
from tuneloop_trainer.harvest.segments import Segment, archive_store, read_sealed, segments, write_sealed
from tuneloop_trainer.reporting import Reporter
from tuneloop_trainer.rows import Row, read_rows

YESTERDAY = NOW - timedelta(days=1)
STREAM = record_stream(TARGET, 0, YESTERDAY.date())


@pytest.fixture
def client(redis_url: str) -> "Iterator[redis.Redis]":
    with redis.Redis.from_url(redis_url) as connected:
        yield connected


def harvest(url: str, folder: Path, job: str, archive: bool = True, end: timedelta = timedelta(0)) -> Dataset:
    """None held out: else the first one's would be golden, and no later one's to learn."""
    wish = settings(
        folder, job=f"chat/{job}", archive=archive, window_end=(NOW - end).isoformat(), min_examples_per_domain=1, held_out=0.0,
        min_held_out=0,
    )  # fmt: skip
    return Harvest(wish, Reporter()).run(url, now=NOW)


def rows(dataset: Dataset) -> list[Row]:
    return [row for name in DATA_FILES for row in read_rows(folder_of(dataset) / name)]


def sealed(folder: Path) -> dict[str, tuple[Segment, ...]]:
    return segments(archive_store(Store(f"file://{folder}"), TARGET), TARGET)


def comparable(dataset: Dataset) -> Dataset:
    return dataset.model_copy(update={"uri": ""})


def week_of_traffic(url: str, client: "redis.Redis") -> None:
    for day in range(6, 1, -1):
        write(url, (record(100 * day + n) for n in range(30)), at=NOW - timedelta(days=day), shards=2)
    write(url, [record(600, source="cache", origin="i-500", messages=(), answer="")], at=NOW - timedelta(days=3, hours=-1), shards=2)
    broken = f"{int((NOW - timedelta(days=2, hours=-1)).timestamp() * 1000)}-0"
    client.xadd(record_stream(TARGET, 1, (NOW - timedelta(days=2)).date()), {"ans": b"\xff", "msgs": "{"}, id=broken)
    judge(url, Feedback("i-201", "down"), Feedback("i-202", "down"), at=NOW - timedelta(days=1, hours=3))


def test_by_watermark_the_rows_are_those_of_a_harvest_of_everything(redis_url: str, client: "redis.Redis", tmp_path: Path) -> None:
    week_of_traffic(redis_url, client)
    first = harvest(redis_url, tmp_path, "first", end=timedelta(days=1, hours=1))
    assert comparable(first) == comparable(harvest(redis_url, tmp_path, "first-whole", archive=False, end=timedelta(days=1, hours=1)))
    write(redis_url, (record(n) for n in range(30)), shards=2)
    judge(redis_url, Feedback("i-201", "up", correction="Better."), Feedback("i-203", "down"), Feedback("i-600", "down"))
    second, whole = harvest(redis_url, tmp_path, "second"), harvest(redis_url, tmp_path, "whole", archive=False)
    assert comparable(second) == comparable(whole)
    assert rows(second) == rows(whole)
    answers = {row.id: row.completion[-1]["content"] for row in rows(second)}
    assert answers["i-201"] == "Better."  # said after the day was sealed
    assert not {"i-202", "i-203", "i-500"} & answers.keys()


def entries_sent(client: "redis.Redis") -> dict[str, int]:
    stats = client.info("commandstats")
    return {name: stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("xrange", "xrevrange")}  # type: ignore[union-attr]


def test_redis_is_asked_only_for_what_is_new(redis_url: str, client: "redis.Redis", tmp_path: Path) -> None:
    week_of_traffic(redis_url, client)
    harvest(redis_url, tmp_path, "first")
    client.config_resetstat()
    assert harvest(redis_url, tmp_path, "second").read == 152
    assert entries_sent(client) == {"xrange": 0, "xrevrange": 0}
    write(redis_url, [record(0)])
    assert harvest(redis_url, tmp_path, "third").read == 153
    assert entries_sent(client) == {"xrange": 1, "xrevrange": 0}
    assert [part.count for part in sealed(tmp_path)[STREAM]] == [1]


def test_days_that_left_redis_are_read_from_the_archive(redis_url: str, client: "redis.Redis", tmp_path: Path) -> None:
    week_of_traffic(redis_url, client)
    first = harvest(redis_url, tmp_path, "first")
    for kind in (record_stream, feedback_stream):
        client.delete(*(kind(TARGET, shard, (NOW - timedelta(days=day)).date()) for day in range(7) for shard in (0, 1)))
    again = harvest(redis_url, tmp_path, "again")
    assert (comparable(again), rows(again)) == (comparable(first), rows(first))


def test_what_was_trimmed_before_it_was_sealed_stays_counted(redis_url: str, client: "redis.Redis", tmp_path: Path) -> None:
    write(redis_url, (record(n) for n in range(60)))
    client.xtrim(STREAM, maxlen=50, approximate=False)
    assert harvest(redis_url, tmp_path, "first").lost == 10
    write(redis_url, (record(n) for n in range(60, 80)), at=YESTERDAY + timedelta(seconds=1))
    client.xtrim(STREAM, maxlen=15, approximate=False)  # 50 of these are sealed, 5 were not yet
    assert harvest(redis_url, tmp_path, "second").lost == 15
    client.delete(STREAM)
    third = harvest(redis_url, tmp_path, "third")
    assert (third.read, third.lost) == (65, 15)


def test_a_pod_that_is_killed_leaves_whole_segments(
    redis_url: str, client: "redis.Redis", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(redis_url, (record(n) for n in range(1200)))
    monkeypatch.setattr(archiving, "SEGMENT_BYTES", 100_000)
    written: list[Segment] = []

    def killed(segment: Segment, lines: object) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(segment)
        write_sealed(segment, lines)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(archiving, "write_sealed", killed)
        with pytest.raises(KeyboardInterrupt):
            harvest(redis_url, tmp_path, "job")
    assert [part.count for part in sealed(tmp_path)[STREAM]] == [500]
    dataset = harvest(redis_url, tmp_path, "job")
    assert (dataset.read, dataset.lost) == (1200, 0)
    assert sum(part.count for part in sealed(tmp_path)[STREAM]) == 1200


def test_two_harvests_at_once_give_no_entry_twice(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n) for n in range(60)))
    harvest(redis_url, tmp_path, "first")
    (whole,) = sealed(tmp_path)[STREAM]
    lines = read_sealed(whole)
    ids = [entry_id(line.at.encode()) for line in lines]
    write_sealed(replace(whole, last=ids[19], count=20), lines[:20])  # one that saw less
    assert sealed(tmp_path)[STREAM] == (whole,)
    Path(whole.store.location).unlink()
    write_sealed(replace(whole, last=ids[39], count=40), lines[:40])  # and one that saw more, and another that began from the first
    write_sealed(replace(whole, after=ids[19], count=40), lines[20:])
    dataset = harvest(redis_url, tmp_path, "second")
    assert (dataset.read, dataset.lost) == (60, 0)


def test_a_line_that_is_taken_out_is_gone_and_not_lost(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n) for n in range(60)))
    harvest(redis_url, tmp_path, "first")
    (segment,) = sealed(tmp_path)[STREAM]
    write_sealed(segment, [line for n, line in enumerate(read_sealed(segment)) if n != 7])
    dataset = harvest(redis_url, tmp_path, "second")
    assert (dataset.read, dataset.lost) == (59, 0)
    assert "i-7" not in {row.id for row in rows(dataset)}


def test_sealed_lines_hold_the_fields_as_they_were_and_lie_with_the_datasets(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, [record(1), record(2)])
    harvest(redis_url, tmp_path, "first")
    (segment,) = sealed(tmp_path)[STREAM]
    lines = read_sealed(segment)
    assert [line.fields for line in lines] == [record(1).to_fields(), by_hand(record(2))]
    first, last = (f"{int(YESTERDAY.timestamp() * 1000) + n}-0" for n in (0, 1))
    assert [line.at for line in lines] == [first, last]
    place = Path(segment.store.location)
    assert place.relative_to(tmp_path) == Path("_archive") / TARGET / "20260309" / f"rec-0_0-0_{last}_2_0.jsonl.zst"
    assert place.stat().st_mode & 0o777 == 0o644


def test_without_the_switch_nothing_is_sealed(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, [record(1)])
    harvest(redis_url, tmp_path, "first", archive=False)
    assert not (tmp_path / "_archive").exists()
