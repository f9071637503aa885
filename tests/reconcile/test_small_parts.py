"""Settings, links, status patches, automatic training: the small pure parts."""

from datetime import UTC, datetime, timedelta

import pytest

from tuneloop_contracts.names import DATA_UNTIL_ANNOTATION
from tuneloop_operator.api.loraadapter import LoRAAdapterSpec
from tuneloop_operator.inferencetarget.autotrain import due_in, fine_tune_job, job_name, trained_at
from tuneloop_operator.ledger.seen import Adapter
from tuneloop_operator.links import Links
from tuneloop_operator.queue import Key
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
    links, target, other = Links(), Key("T", "n", "t"), Key("T", "n", "o")
    job, adapter = Key("J", "n", "j"), Key("A", "n", "a")
    links.set(job, frozenset({target}))
    links.set(adapter, frozenset({target}))
    assert links.pointing_at(target) == [adapter, job]
    assert links.pointing_at(target, "J") == [job]
    links.set(job, frozenset({other}))
    links.forget(adapter)
    assert (links.pointing_at(target), links.pointing_at(other)) == ([], [job])


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
    of_another = {"metadata": {"creationTimestamp": "2026-11-23T03:00:00Z"}, "spec": {"targetRef": {"name": "other"}}}
    trained = trained_at("chat", [of_another], adapters)
    assert trained == [NOW - timedelta(days=1)]
    assert due_in(NOW - timedelta(days=30), trained, timedelta(days=7), NOW) == timedelta(days=6)
