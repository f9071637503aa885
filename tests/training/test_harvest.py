"""From a real Redis to a dataset in a store."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from redisserver import RedisServer
from training.traffic import NOW, TARGET, by_hand, judge, record, write
from tuneloop_contracts.base import digest_of
from tuneloop_contracts.dataset import DATA_FILES, HELD_OUT_FILE, MANIFEST_FILE, SUMMARY_FILE, TRAIN_FILE, USERS_FILE, Dataset
from tuneloop_contracts.domains import DEFAULT_DOMAINS
from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.record import COMPACT, RECORD_KIND, Feedback, meta_key, record_stream
from tuneloop_contracts.stores import Store
from tuneloop_trainer.errors import NeedsEdit, TryLater
from tuneloop_trainer.forget.person import Person
from tuneloop_trainer.forget.recorded import find_recorded, remove_recorded
from tuneloop_trainer.golden import OWNERS_FILE, golden_store, read_golden
from tuneloop_trainer.harvest import pages
from tuneloop_trainer.harvest.collect import Harvest
from tuneloop_trainer.harvest.source import Watermarks
from tuneloop_trainer.reporting import Reporter
from tuneloop_trainer.rows import read_rows
from tuneloop_trainer.store import put_bytes, remove_file


def settings(folder: Path, **changes: object) -> HarvestConfig:
    plain = HarvestConfig(
        job="chat/week-47", job_uid="0123456789abcdef", target=TARGET, window_start=(NOW - timedelta(days=30)).isoformat(),
        window_end=NOW.isoformat(), domains=DEFAULT_DOMAINS, datasets_uri=f"file://{folder}",
    )  # fmt: skip
    return plain.model_copy(update=changes)


def harvest(url: str, folder: Path, **changes: object) -> Dataset:
    return Harvest(settings(folder, **changes), Reporter()).run(url, now=NOW)


def folder_of(dataset: Dataset) -> Path:
    return Path(dataset.uri.removeprefix("file://"))


def test_a_dataset_holds_what_was_recorded(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n) for n in range(60)))
    dataset = harvest(redis_url, tmp_path)
    folder = folder_of(dataset)
    assert folder == tmp_path / "chat" / "week-47-01234567"
    assert (dataset.read, dataset.kept, dataset.lost) == (60, 60, 0)
    assert {row.id for name in DATA_FILES for row in read_rows(folder / name)} == {f"i-{n}" for n in range(60)}
    assert dataset.digest == digest_of([folder / name for name in DATA_FILES])
    assert Dataset.model_validate(json.loads((folder / SUMMARY_FILE).read_text())) == dataset
    assert (folder / TRAIN_FILE).stat().st_mode & 0o777 == 0o644
    assert folder.stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == sorted(
        [*DATA_FILES, SUMMARY_FILE, MANIFEST_FILE, USERS_FILE, "inputs.sha256", "support.jsonl", OWNERS_FILE]
    )


def test_the_first_runs_held_out_rows_judge_every_later_run_and_are_learned_by_none(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n) for n in range(120)))
    first = harvest(redis_url, tmp_path)
    golden = read_golden(golden_store(Store(f"file://{tmp_path}"), TARGET, "support"))
    assert sorted(row.id for row in golden) == sorted(row.id for row in read_rows(folder_of(first) / HELD_OUT_FILE))
    second = harvest(redis_url, tmp_path, job="chat/week-48")
    assert (second.digest, second.kept, second.dropped) == (first.digest, 120, ())
    write(redis_url, (record(n) for n in range(120, 150)), at=NOW - timedelta(hours=2))
    third = harvest(redis_url, tmp_path, job="chat/week-49")
    sides = {name: {row.id for row in read_rows(folder_of(third) / name)} for name in DATA_FILES}
    assert sum(map(len, sides.values())) == third.kept == 150
    assert {row.id for row in golden} <= sides[HELD_OUT_FILE]
    assert read_golden(golden_store(Store(f"file://{tmp_path}"), TARGET, "support")) == golden


def test_a_golden_set_that_a_stopped_pod_did_not_freeze_is_frozen_by_the_next(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n) for n in range(60)))
    first = harvest(redis_url, tmp_path)
    store = golden_store(Store(f"file://{tmp_path}"), TARGET, "support")
    frozen = read_golden(store)
    remove_file(store)
    assert harvest(redis_url, tmp_path) == first
    assert read_golden(store) == frozen


def test_a_users_golden_set_is_checked_before_anything_is_read(redis_url: str, tmp_path: Path) -> None:
    put_bytes(golden_store(Store(f"file://{tmp_path}"), TARGET, "legal"), b"{}\n")
    with pytest.raises(NeedsEdit) as refused:
        harvest(redis_url, tmp_path)
    assert refused.value.fault.reason is FaultReason.GOLDEN_SET_INVALID


def test_the_window_holds_its_first_moment_and_not_its_last(redis_url: str, tmp_path: Path) -> None:
    start, end = NOW - timedelta(days=2), NOW - timedelta(days=1)
    for n, at in enumerate((start - timedelta(milliseconds=1), start, end - timedelta(milliseconds=1), end)):
        write(redis_url, [record(n)], at=at)
    dataset = harvest(redis_url, tmp_path, window_start=start.isoformat(), window_end=end.isoformat(), min_examples_per_domain=1)
    assert dataset.read == 2
    assert {row.id for name in (TRAIN_FILE, HELD_OUT_FILE) for row in read_rows(folder_of(dataset) / name)} == {"i-1", "i-2"}


def test_pages_days_and_shards_are_all_read(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE", 7)
    write(redis_url, (record(n) for n in range(50)), shards=3)
    write(redis_url, (record(100 + n) for n in range(50)), at=NOW - timedelta(days=20), shards=3)
    assert harvest(redis_url, tmp_path).read == 100


def test_other_targets_are_left_alone(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n) for n in range(5)), target="chat/another")
    assert harvest(redis_url, tmp_path).read == 0


def test_the_newest_feedback_wins_even_after_the_window(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n) for n in range(3)))
    judge(redis_url, Feedback("i-0", "down"), Feedback("i-1", "down"))
    judge(redis_url, Feedback("i-0", "up", correction="The right one."), at=NOW - timedelta(minutes=1))
    end = (NOW - timedelta(hours=2)).isoformat()
    dataset = harvest(redis_url, tmp_path, window_end=end, min_examples_per_domain=1, min_held_out=0, held_out=0.0)
    answers = {row.id: row.completion[-1]["content"] for row in read_rows(folder_of(dataset) / TRAIN_FILE)}
    assert answers == {"i-0": "The right one.", "i-2": "Answer 2."}


def test_entries_that_are_not_ours_are_counted(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, [record(0)])
    with redis.Redis.from_url(redis_url) as client:
        stream = record_stream(TARGET, 0, (NOW - timedelta(days=1)).date())
        client.xadd(stream, {"hello": "world"}, id=f"{int((NOW - timedelta(hours=20)).timestamp() * 1000)}-0")
        by_hands = [by_hand(record(1)) | broken for broken in ({"msgs": "{"}, {"msgs": '{"a": 1}'}, {"ms": "soon"}, {"ans": b"\xff\xfe"})]
        for fields in (*by_hands, {COMPACT: '["i-1"]'}):
            client.xadd(stream, fields, id=f"{int((NOW - timedelta(hours=20)).timestamp() * 1000)}-*")  # type: ignore[arg-type]
    dataset = harvest(redis_url, tmp_path)
    assert {count.name: count.count for count in dataset.dropped} == {"Malformed": 6}


def test_a_second_pod_reports_the_first_ones_dataset(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n) for n in range(60)))
    first = harvest(redis_url, tmp_path)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    assert harvest(redis_url, tmp_path) == first


def test_another_configuration_or_a_damaged_file_is_harvested_anew(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n) for n in range(60)))
    first = harvest(redis_url, tmp_path)
    assert harvest(redis_url, tmp_path, max_examples_per_domain=50).digest != first.digest
    (folder_of(first) / TRAIN_FILE).write_text("")
    assert harvest(redis_url, tmp_path) == first


def test_nothing_recorded_yet_is_a_result(redis_url: str, tmp_path: Path) -> None:
    dataset = harvest(redis_url, tmp_path)
    assert (dataset.read, dataset.trainable) == (0, ())


@dataclass(frozen=True)
class Meddling(Harvest):
    """Does something to Redis between the watermarks and the reading."""

    meddle: Callable[[], object] = lambda: None

    def _remembered(self, watermarks: Watermarks) -> Watermarks:
        known = super()._remembered(watermarks)
        self.meddle()
        return known


def meddle(url: str, folder: Path, act: Callable[[], object]) -> Dataset:
    return Meddling(settings(folder), Reporter(), meddle=act).run(url, now=NOW)


def test_a_flush_in_mid_harvest_is_data_lost_for_every_later_pod_too(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n) for n in range(60)))
    with redis.Redis.from_url(redis_url) as client:
        for act in (client.flushall, lambda: None):
            with pytest.raises(TryLater) as lost:
                meddle(redis_url, tmp_path, act)
            assert lost.value.fault.reason is FaultReason.DATA_LOST
    write(redis_url, (record(n) for n in range(10)))  # traffic goes on after the flush
    with pytest.raises(TryLater):
        harvest(redis_url, tmp_path)
    assert not list(tmp_path.rglob(SUMMARY_FILE))


def test_who_is_forgotten_in_mid_harvest_is_in_no_dataset(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n, user=f"u-{n % 6}") for n in range(60)))

    def forget() -> None:
        with redis.Redis.from_url(redis_url) as client:
            remove_recorded(client, find_recorded(client, TARGET, RECORD_KIND, Person("u-0")))

    with pytest.raises(TryLater, match="somebody was forgotten"):
        meddle(redis_url, tmp_path, forget)
    assert not list(tmp_path.rglob(SUMMARY_FILE))
    dataset = harvest(redis_url, tmp_path)
    assert (dataset.read, dataset.lost) == (50, 0)


def test_one_evicted_day_is_data_lost(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n) for n in range(60)))
    with redis.Redis.from_url(redis_url) as client, pytest.raises(TryLater) as lost:
        meddle(redis_url, tmp_path, lambda: client.delete(record_stream(TARGET, 0, (NOW - timedelta(days=1)).date())))
    assert "2026-03-09" in lost.value.fault.message


def test_the_targets_own_key_is_missed(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n) for n in range(60)))
    with redis.Redis.from_url(redis_url) as client, pytest.raises(TryLater) as lost:
        meddle(redis_url, tmp_path, lambda: client.delete(meta_key(TARGET)))
    assert lost.value.fault.reason is FaultReason.DATA_LOST


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_trimmed_entries_are_counted_as_lost(redis_url: str, tmp_path: Path, when: str) -> None:
    write(redis_url, (record(n) for n in range(60)))
    stream = record_stream(TARGET, 0, (NOW - timedelta(days=1)).date())
    with redis.Redis.from_url(redis_url) as client:

        def trim() -> None:
            client.xtrim(stream, maxlen=50, approximate=False)

        if when == "before":
            trim()
        dataset = meddle(redis_url, tmp_path, trim)
    assert (dataset.read, dataset.lost) == (50, 10)


def test_entries_trimmed_from_before_the_window_are_not_missed(redis_url: str, tmp_path: Path) -> None:
    at = NOW - timedelta(days=1)
    write(redis_url, (record(n) for n in range(60)), at=at)
    with redis.Redis.from_url(redis_url) as client:
        client.xtrim(record_stream(TARGET, 0, at.date()), maxlen=50, approximate=False)
    assert harvest(redis_url, tmp_path, window_start=(at + timedelta(milliseconds=20)).isoformat()).lost == 0


class Waiting(Reporter):
    """Time that passes only by being slept, and what was said meanwhile."""

    def __init__(self, on_wait: Callable[[int], object] = lambda count: None) -> None:
        super().__init__()
        self.now, self.said, self.on_wait = 0.0, list[FaultReason](), on_wait

    def waiting(self, reason: FaultReason) -> None:
        self.said.append(reason)
        self.on_wait(len(self.said))

    def pass_by(self, seconds: float) -> None:
        self.now += seconds

    def harvest(self, url: str, folder: Path) -> Dataset:
        return Harvest(settings(folder), self, clock=lambda: self.now, sleep=self.pass_by).run(url, now=NOW)


def test_a_redis_that_is_away_is_waited_for(tmp_path: Path) -> None:
    server = RedisServer()
    waiting = Waiting(lambda count: server.start() if count == 3 else None)
    try:
        waiting.harvest(server.url, tmp_path)
    finally:
        server.stop()
    assert waiting.said == [FaultReason.REDIS_UNREACHABLE] * 3


def test_after_a_quarter_of_an_hour_the_pod_gives_up(tmp_path: Path) -> None:
    waiting = Waiting()
    with pytest.raises(TryLater) as given_up:
        waiting.harvest(RedisServer().url, tmp_path)
    assert given_up.value.fault.reason is FaultReason.REDIS_UNREACHABLE
    assert 880 < waiting.now <= 900
    assert len(waiting.said) > 100


def test_a_wrong_password_is_named_and_shown_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server, waiting = RedisServer(password="right-one").start(), Waiting()
    try:
        with pytest.raises(TryLater) as given_up:
            waiting.harvest(server.url.replace("right-one", "hunter2"), tmp_path)
    finally:
        server.stop()
    assert given_up.value.fault.reason is FaultReason.REDIS_UNAUTHORIZED
    assert set(waiting.said) == {FaultReason.REDIS_UNAUTHORIZED}
    assert "hunter2" not in caplog.text + given_up.value.fault.message


def test_redis_killed_and_back_empty_in_mid_harvest_is_data_lost(tmp_path: Path) -> None:
    server = RedisServer().start()
    write(server.url, (record(n) for n in range(60)))
    try:
        with pytest.raises(TryLater) as lost:
            meddle(server.url, tmp_path, lambda: (server.stop(), server.start()))
    finally:
        server.stop()
    assert lost.value.fault.reason is FaultReason.DATA_LOST
