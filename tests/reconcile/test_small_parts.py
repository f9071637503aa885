"""Settings, references, status patches, automatic training: the small pure parts."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from tuneloop_contracts.names import DATA_UNTIL_ANNOTATION
from tuneloop_operator.api.kinds import Kind
from tuneloop_operator.api.loraadapter import LoRAAdapterSpec
from tuneloop_operator.clients.access import NoAccess, check_access
from tuneloop_operator.clients.errors import NotAllowed
from tuneloop_operator.clients.kube import Kube
from tuneloop_operator.finetunejob.snapshot import read_adapter
from tuneloop_operator.inferencetarget.autotrain import at_work, due_in, fine_tune_job, job_name, newest, trained_at
from tuneloop_operator.ledger.inputs import Adapter
from tuneloop_operator.queue import Key
from tuneloop_operator.reference_index import ReferenceIndex
from tuneloop_operator.reporting import difference
from tuneloop_operator.settings import InvalidSettings, Settings

NEEDED = {"HARVEST_IMAGE": "h:1", "TRAINER_IMAGE": "t:1", "PROGRESS_URL": "http://op:8082"}
NOW = datetime(2026, 11, 23, 3, 4, tzinfo=UTC)


def test_defaults_are_the_original_systems() -> None:
    read = Settings.from_environment(NEEDED)
    assert (read.min_examples_per_domain, read.training_data_days, read.lora_rank, read.lora_alpha) == (50, 30, 16, 32)
    assert (read.training_epochs, read.learning_rate, read.auto_training_interval, read.enable_fine_tuning) == (3, 1e-4, "7d", True)


def test_lists_and_switches_are_read() -> None:
    read = Settings.from_environment(
        NEEDED | {"WATCH_NAMESPACES": "a, b,", "ENABLE_FINE_TUNING": "false", "AUTO_TRAINING_INTERVAL": "", "LORA_RANK": ""}
    )
    assert (read.watch_namespaces, read.enable_fine_tuning, read.auto_training_interval, read.lora_rank) == (("a", "b"), False, "", 16)


def test_every_fault_is_named_at_once() -> None:
    bad = {"PROGRESS_URL": "nowhere", "LORA_RANK": "0", "LEARNING_RATE": "fast", "AUTO_TRAINING_INTERVAL": "weekly"}
    with pytest.raises(InvalidSettings) as caught:
        Settings.from_environment(bad)
    assert {line.split(":")[0] for line in str(caught.value).splitlines()} == {*bad, "HARVEST_IMAGE", "TRAINER_IMAGE"}


def test_a_change_reaches_what_points_at_it_and_no_longer_what_did() -> None:
    references, target, other = ReferenceIndex(), Key("T", "n", "t"), Key("T", "n", "o")
    job, adapter = Key("J", "n", "j"), Key("A", "n", "a")
    references.set(job, frozenset({target}))
    references.set(adapter, frozenset({target}))
    assert references.pointing_at(target) == [adapter, job]
    assert references.pointing_at(target, "J") == [job]
    references.set(job, frozenset({other}))
    references.forget(adapter)
    assert (references.pointing_at(target), references.pointing_at(other)) == ([], [job])


@pytest.mark.parametrize(
    ("old", "new", "want"),
    [
        pytest.param({"a": 1}, {"a": 1}, {}, id="nothing changed, nothing written"),
        pytest.param({"a": 1, "b": 2}, {"a": 1}, {"b": None}, id="what is gone becomes null"),
        pytest.param({"p": {"x": 1, "y": 2}}, {"p": {"x": 3}}, {"p": {"x": 3, "y": None}}, id="inside objects too"),
        pytest.param({"l": [1, 2]}, {"l": [2]}, {"l": [2]}, id="lists are replaced whole"),
        pytest.param({"p": {"x": 1}}, {"p": [1]}, {"p": [1]}, id="another type replaces"),
    ],
)
def test_a_status_patch_says_only_what_changed(old: dict, new: dict, want: dict) -> None:
    assert difference(old, new) == want


@pytest.mark.parametrize(
    ("target_age", "job_ages", "want"),
    [
        pytest.param(8, [], -1, id="an old target that never had one"),
        pytest.param(6, [], 1, id="a young target waits its first interval"),
        pytest.param(99, [30, 6], 1, id="the newest job counts"),
        pytest.param(99, [30, 7], 0, id="an interval after the newest job"),
    ],
)
def test_automatic_training_is_due(target_age: int, job_ages: list[int], want: int) -> None:
    created = [NOW - timedelta(days=age) for age in job_ages]
    assert due_in(NOW - timedelta(days=target_age), created, timedelta(days=7), NOW) == timedelta(days=want)


def test_the_automatic_jobs_name_fits_and_is_the_same_within_a_minute() -> None:
    name = job_name("x" * 45, NOW)
    assert (len(name), name.endswith("-auto-20261123-0304")) == (45, True)
    assert job_name("chat", NOW) == job_name("chat", NOW + timedelta(seconds=59))
    assert fine_tune_job("chat", "ns", NOW)["spec"] == {"targetRef": {"name": "chat"}}


def test_a_job_that_was_deleted_after_it_published_still_counts() -> None:
    """Or whoever tidies up would start a training of every target."""
    spec = LoRAAdapterSpec.parse({"targetRef": {"name": "chat"}, "domain": "support"})
    adapters = [
        Adapter("chat-support", "uid", "2026-01-01T00:00:00Z", spec, {DATA_UNTIL_ANNOTATION: "2026-11-22T03:04:00.000Z"}),
        Adapter("chat-legal", "uid", "2026-01-01T00:00:00Z", spec),
    ]
    trained = trained_at(None, adapters)
    assert trained == [NOW - timedelta(days=1)]
    assert due_in(NOW - timedelta(days=30), trained, timedelta(days=7), NOW) == timedelta(days=6)


def test_a_job_that_failed_and_was_deleted_still_counts() -> None:
    """It left no adapter: only the target's status remembers it."""
    before = newest([a_job("2026-11-22T03:04:00Z"), a_job("2026-11-20T03:04:00Z")], "2026-11-21T03:04:00Z")
    assert newest([], before) == before == "2026-11-22T03:04:00Z"
    assert due_in(NOW - timedelta(days=30), trained_at(before, []), timedelta(days=7), NOW) == timedelta(days=6)
    assert newest([], None) is None


def test_an_annotation_that_is_no_time_is_none() -> None:
    spec = LoRAAdapterSpec.parse({"targetRef": {"name": "chat"}, "domain": "support"})
    for said in ("yesterday", "2026-11-22T03:04:00"):
        assert Adapter("a", "uid", "2026-01-01T00:00:00Z", spec, {DATA_UNTIL_ANNOTATION: said}).data_until == ""
        body = {
            "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {DATA_UNTIL_ANNOTATION: said}},
            "spec": {"targetRef": {"name": "c"}, "domain": "d"},
        }
        assert read_adapter(body).data_until == ""


@pytest.mark.parametrize(
    ("stage", "ended", "want"),
    [("", "", False), ("Pending", "", False), ("Queued", "", True), ("Suspended", "", True), ("Complete", "Complete", False),
     ("Failed", "Failed", False)],
)  # fmt: skip
def test_no_second_job_is_made_while_one_is_at_work(stage: str, ended: str, want: bool) -> None:
    conditions = [{"type": ended, "status": "True"}] if ended else []
    status = {"stage": stage, "conditions": conditions} if stage else {}
    assert at_work([a_job("2026-11-01T00:00:00Z") | {"status": status}]) is want


@pytest.mark.parametrize("stage", ["", "Pending"])
def test_one_that_was_made_here_and_waits_is_not_made_again(stage: str) -> None:
    """Its rank may be too large for every pod: then a job an interval would join it, and all would train at once."""
    status = {"stage": stage} if stage else {}
    assert at_work([a_job("2026-11-01T00:00:00Z", job_name("chat", NOW)) | {"status": status}])


def a_job(made: str, name: str = "week-47") -> dict[str, Any]:
    return {"metadata": {"name": name, "creationTimestamp": made}, "spec": {"targetRef": {"name": "chat"}}}


class FakeKube:
    """Lets some namespaces be looked at."""

    def __init__(self, *may: str) -> None:
        self.may = may

    async def has(self, kind: Kind, namespace: str) -> bool:
        if namespace not in self.may:
            raise NotAllowed("GET: 403")
        return True


@pytest.mark.parametrize(
    ("asked", "may", "want"),
    [
        pytest.param(("a", "b"), ("a", "b"), ("a", "b"), id="all"),
        pytest.param(("a", "b"), ("a",), ("a",), id="b was deleted, and its Role with it"),
        pytest.param((), ("",), (), id="the whole cluster"),
    ],
)
async def test_a_namespace_that_is_gone_does_not_end_the_work_in_others(asked: tuple[str, ...], may: tuple[str, ...], want: object) -> None:
    assert await check_access(cast(Kube, FakeKube(*may)), asked) == want


async def test_an_operator_that_may_look_nowhere_says_where_it_should() -> None:
    with pytest.raises(NoAccess, match=r"namespace a: .*; .* in namespace b"):
        await check_access(cast(Kube, FakeKube()), ("a", "b"))
    with pytest.raises(NoAccess, match="in the whole cluster"):
        await check_access(cast(Kube, FakeKube("a")), ())
