"""A harvest over several pods: the dataset of one, whatever becomes of the others."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from training.test_harvest import folder_of, settings
from training.traffic import NOW, TARGET, asked, judge, record, write
from tuneloop_contracts.dataset import TRAIN_FILE, Dataset
from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_contracts.record import Feedback, Record, record_stream
from tuneloop_trainer.curate import funnel
from tuneloop_trainer.curate.redact.find import find
from tuneloop_trainer.curate.redact.span import Find, Span
from tuneloop_trainer.harvest import pages
from tuneloop_trainer.harvest.collect import Harvest
from tuneloop_trainer.harvest.shares import Share
from tuneloop_trainer.reporting import Reporter
from tuneloop_trainer.rows import read_rows
from tuneloop_trainer.workers import is_first

YESTERDAY = NOW - timedelta(days=1)


def turn(number: int) -> Record:
    """Of conversations of three; every fifth question is one of two, every seventh holds an address, every eleventh is legal's."""
    plain = record(number, ("legal" if number % 11 == 0 else "support"), conversation=f"c-{number // 3}")
    if number % 5 == 0:
        return plain._replace(**asked(f"Where is my refund number {number % 2}, please?"))
    return plain._replace(answer=f"Write to ana{number}@example.com") if number % 7 == 0 else plain


def traffic(url: str) -> None:
    """Also a cache hit of another conversation with a word on it, one entry twice, and one that is not ours."""
    write(url, (turn(n) for n in range(90)), shards=2)
    hit = record(500, id="hit", source="cache", origin="i-31", messages=(), answer="", conversation="another")
    write(url, [hit, turn(8)], at=YESTERDAY + timedelta(hours=1))
    write(url, (turn(n) for n in range(90, 150)), at=NOW - timedelta(days=3), shards=2)
    with redis.Redis.from_url(url) as client:
        client.xadd(record_stream(TARGET, 0, YESTERDAY.date()), {"hello": "world"}, id=f"{int(YESTERDAY.timestamp() * 1000) + 9999999}-0")
    judge(url, Feedback("hit", "down"), Feedback("i-40", "up", correction="Better."), Feedback("i-41", "down"), Feedback("i-0", "up"))


def share(wish: HarvestConfig, url: str, index: int, pods: int, find: Find = find) -> None:
    Harvest(wish, Reporter(), find, Share(index, pods)).run_share(url, now=NOW)


def first(wish: HarvestConfig, url: str, pods: int, find: Find = find, sleep: Callable[[float], None] = lambda seconds: None) -> Dataset:
    """Time passes only by being slept."""
    slept = [0.0]

    def pass_by(seconds: float) -> None:
        slept[0] += seconds
        sleep(slept[0])

    return Harvest(wish, Reporter(), find, Share(0, pods), clock=lambda: slept[0], sleep=pass_by).run(url, now=NOW)


def taken_away(folder: Path) -> dict[str, bytes]:
    """All that a harvest left, so that another may be made from the same configuration."""
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.suffix != ".zst"}
    shutil.rmtree(folder)
    return files


def looked_up(text: str) -> list[Span]:
    raise AssertionError("this was worked out already")


@pytest.mark.parametrize("pods", [2, 3])
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="the whole window"),
        pytest.param({"max_examples_per_domain": 8, "min_examples_per_domain": 5, "min_held_out": 1}, id="until every domain is full"),
        pytest.param({"archive": True}, id="through the archive"),
    ],
)
def test_the_dataset_is_that_of_one_pod(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], pods: int
) -> None:
    monkeypatch.setattr(pages, "PAGE", 7)
    monkeypatch.setattr(funnel, "PIECE", 20)
    traffic(redis_url)
    wish = settings(tmp_path / "datasets", domains=settings(tmp_path).domains[:3], **changes)
    alone = first(wish, redis_url, 1)
    files = taken_away(tmp_path / "datasets")
    for index in range(1, pods):
        share(wish, redis_url, index, pods)
    assert first(wish, redis_url, pods) == alone
    assert alone.kept > 0
    assert taken_away(tmp_path / "datasets") == files


def test_the_first_pod_looks_up_what_was_worked_out_and_leaves_no_part(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (turn(n) for n in range(60)))
    wish = settings(tmp_path)
    for index in range(3):
        share(wish, redis_url, index, 3)
    assert len(list(tmp_path.glob(f"_parts/{TARGET}/week-47-01234567/*.jsonl.zst"))) == 3
    assert first(wish, redis_url, 3, looked_up).kept > 0
    assert not list(tmp_path.rglob("*.zst"))


def test_a_pod_that_was_killed_does_its_share_again_and_no_other(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (turn(n) for n in range(60)))
    wish = settings(tmp_path)

    def killed(text: str) -> list[Span]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        share(wish, redis_url, 1, 2, killed)
    assert not list(tmp_path.rglob("*.zst"))
    share(wish, redis_url, 1, 2)
    share(wish, redis_url, 1, 2, looked_up)
    share(wish, redis_url, 0, 2)
    dataset = first(wish, redis_url, 2, looked_up)
    share(wish, redis_url, 1, 2, looked_up)  # too late to be of use
    assert dataset.kept > 0
    assert not list(tmp_path.rglob("*.zst"))


def test_what_no_pod_wrote_down_is_worked_out_by_the_first_in_the_end(redis_url: str, tmp_path: Path) -> None:
    traffic(redis_url)
    wish = settings(tmp_path / "datasets")
    alone = first(wish, redis_url, 1)
    files = taken_away(tmp_path / "datasets")
    share(wish, redis_url, 2, 3)
    share(wish.model_copy(update={"seed": 1}), redis_url, 1, 3)  # of another configuration: it is there, and tells nothing
    (tmp_path / "datasets" / "_parts" / TARGET / "week-47-01234567" / "2.jsonl.zst").unlink()
    waited = [0.0]
    assert first(wish, redis_url, 3, sleep=lambda slept: waited.append(slept)) == alone
    assert waited[-1] == 900
    assert taken_away(tmp_path / "datasets") == files


def test_what_people_said_since_is_heard(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n) for n in range(6)))
    wish = settings(tmp_path, min_examples_per_domain=1, min_held_out=0, held_out=0.0)
    for index in (0, 1):
        share(wish, redis_url, index, 2)
    judge(redis_url, Feedback("i-1", "down"), *(Feedback(f"i-{n}", "up", correction="The right one.") for n in (2, 3)))
    dataset = first(wish, redis_url, 2)
    answers = {row.id: row.completion[-1]["content"] for row in read_rows(folder_of(dataset) / TRAIN_FILE)}
    assert answers == {"i-0": "Answer 0.", "i-2": "The right one.", "i-3": "The right one.", "i-4": "Answer 4.", "i-5": "Answer 5."}


def test_a_pod_knows_its_share_by_its_number() -> None:
    assert Share.from_env({}) == Share(0, 1)
    second = {"JOB_COMPLETION_INDEX": "1", "TUNELOOP_PODS": "4"}
    assert Share.from_env(second) == Share(1, 4)
    assert (is_first(second), is_first(second | {"JOB_COMPLETION_INDEX": "0"})) == (False, True)
