"""A Job and its pods, read into what a plan decides on."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tuneloop_contracts.progress import Fault, FaultReason, Report
from tuneloop_operator.finetunejob.jobs import JobSnapshot, Owner, Phase, Trouble, read_job

Object = dict[str, Any]


def job(*, owner: Object | None = None, end: Object | None = None, **status: Any) -> Object:
    default = {"kind": "FineTuneJob", "name": "week-47", "uid": "uid", "controller": True}
    env = [{"name": "HOME", "value": "/tmp"}, {"name": "TUNELOOP_CONFIG", "value": "{}"}]
    conditions = [{"status": "True", "lastTransitionTime": "2026-11-23T12:00:00Z", **end}] if end else []
    return {
        "metadata": {
            "name": "week-47-train",
            "uid": "uid-job",
            "creationTimestamp": "2026-11-23T12:00:00Z",
            "ownerReferences": [default if owner is None else owner],
        },
        "spec": {"template": {"spec": {"containers": [{"env": env}]}}},
        "status": {"conditions": conditions, **status},
    }


def pod(phase: str, *, number: int = 0, **status: Any) -> Object:
    owner = {"kind": "Job", "name": "week-47-train", "uid": "uid-job", "controller": True}
    labels = {"tuneloop.dev/step": "train"}
    meta = {"name": f"pod-{number}", "labels": labels, "creationTimestamp": f"2026-11-23T12:00:0{number}Z", "ownerReferences": [owner]}
    return {"metadata": meta, "spec": {}, "status": {"phase": phase, **status}}


def terminated(code: int, *, reason: str = "Error", message: str = "", name: str = "train") -> list[Object]:
    return [{"name": name, "state": {"terminated": {"exitCode": code, "reason": reason, "message": message}}}]


def waiting(reason: str) -> list[Object]:
    return [{"name": "train", "state": {"waiting": {"reason": reason, "message": "m"}}}]


def read(body: Object, *pods: Object, posted: Report | None = None) -> JobSnapshot:
    return read_job(body, pods, name="week-47", uid="uid", posted=posted)


FAILED = {"type": "Failed", "reason": "BackoffLimitExceeded", "message": "too often"}
SAID = Report(fault=Fault(reason=FaultReason.DIVERGED, message="the loss is not a number")).to_termination_message()


@pytest.mark.parametrize(
    ("owner", "want"),
    [
        pytest.param(None, Owner.OURS, id="our uid"),
        pytest.param({"kind": "FineTuneJob", "name": "week-47", "uid": "old", "controller": True}, Owner.EARLIER, id="one of our name"),
        pytest.param({"kind": "CronJob", "name": "week-47", "uid": "x", "controller": True}, Owner.STRANGER, id="another kind"),
        pytest.param({}, Owner.STRANGER, id="nobody's"),
    ],
)
def test_whose_job_it_is_goes_by_uid(owner: Object | None, want: Owner) -> None:
    assert read(job(owner=owner)).owner == want


@pytest.mark.parametrize(
    ("last", "want"),
    [
        pytest.param(pod("Failed", containerStatuses=terminated(1, message=SAID)), "Diverged", id="what it said itself"),
        pytest.param(pod("Failed", containerStatuses=terminated(137, reason="OOMKilled")), "OOMKilled", id="memory"),
        pytest.param(pod("Failed", reason="Evicted", message="node is low"), "Evicted", id="eviction"),
        pytest.param(pod("Failed", containerStatuses=terminated(137)), "PodKilled", id="SIGKILL"),
        pytest.param(pod("Failed"), "PodKilled", id="gone without a word"),
        pytest.param(pod("Failed", containerStatuses=terminated(1)), "PodFailed", id="exit 1"),
        pytest.param(pod("Failed", containerStatuses=terminated(1, message="{not json")), "PodFailed", id="a message that is none"),
        pytest.param(pod("Failed", containerStatuses=terminated(128, reason="StartError")), "StartError", id="no python in the image"),
    ],
)
def test_why_a_job_failed(last: Object, want: str) -> None:
    seen = read(
        job(end=FAILED, failed=3),
        pod("Failed", number=0, containerStatuses=terminated(1)),
        {**last, "metadata": pod("", number=1)["metadata"]},
    )
    assert (seen.phase, seen.fault and seen.fault.reason, seen.failures) == (Phase.FAILED, want, 3)


def test_a_failed_job_without_pods_says_what_kubernetes_says() -> None:
    assert read(job(end=FAILED)).fault == Trouble("BackoffLimitExceeded", "too often")
    late = read(job(end={**FAILED, "reason": "DeadlineExceeded"}), pod("Failed", containerStatuses=terminated(137)))
    assert late.fault is not None
    assert late.fault.reason == "DeadlineExceeded"


@pytest.mark.parametrize(
    ("status", "want"),
    [
        pytest.param({"containerStatuses": waiting("ErrImagePull")}, "ImagePullBackOff", id="image, first try"),
        pytest.param({"containerStatuses": waiting("ImagePullBackOff")}, "ImagePullBackOff", id="image, later"),
        pytest.param({"containerStatuses": waiting("CreateContainerConfigError")}, "CreateContainerConfigError", id="no Secret"),
        pytest.param({"containerStatuses": waiting("ContainerCreating")}, None, id="on its way"),
        pytest.param(
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "m"}]},
            "Unschedulable",
            id="no node",
        ),
        pytest.param({}, None, id="nothing known"),
    ],
)
def test_why_a_pod_does_not_run(status: Object, want: str | None) -> None:
    seen = read(job(), pod("Pending", **status))
    assert (seen.waiting.reason if seen.waiting else None) == want


@pytest.mark.parametrize(("ready", "want"), [("True", "pulls its image on node b"), ("False", "waits for its volumes or pulls its image")])
def test_what_a_pod_does_on_its_node_before_it_runs(ready: str, want: str) -> None:
    there = pod("Pending", conditions=[{"type": "PodReadyToStartContainers", "status": ready}])
    assert read(job(), there).starting == ""
    there["spec"]["nodeName"] = "b"
    assert want in read(job(), there).starting
    assert read(job(), there | {"status": {"phase": "Running"}}).starting == ""


def test_the_report_is_the_one_posted_or_the_newest_pods_own() -> None:
    end = {"type": "Complete"}
    own = pod("Succeeded", containerStatuses=terminated(0, reason="Completed", message=Report(seconds={"x": 1}).to_termination_message()))
    assert read(job(end=end), own).report == Report(seconds={"x": 1})
    assert read(job(end=end), own, posted=Report(seconds={"y": 2})).report == Report(seconds={"y": 2})
    assert read(job(end=end)).report is None
    assert read(job(), own).report is None, "it counts when the Job is complete, not before"


def test_a_container_that_others_put_beside_ours_does_not_speak_for_it() -> None:
    own = terminated(0, reason="Completed", message=Report(seconds={"x": 1}).to_termination_message())
    beside = pod("Succeeded", containerStatuses=[*terminated(0, reason="Completed", name="istio-proxy"), *own])
    assert read(job(end={"type": "Complete"}), beside).report == Report(seconds={"x": 1})


@pytest.mark.parametrize(("step", "want"), [("harvest", "data.parallelism"), ("train", "pods.resources")])
def test_the_way_out_of_too_little_memory_is_the_steps_own(step: str, want: str) -> None:
    killed = pod("Failed", containerStatuses=terminated(137, reason="OOMKilled", name=step))
    killed["metadata"]["labels"] = {"tuneloop.dev/step": step}
    fault = read(job(), killed).fault
    assert fault
    assert want in fault.message


def test_a_job_that_was_resumed_is_podless_since_then() -> None:
    assert read(job(startTime="2026-11-24T00:00:00Z")).podless_since == datetime(2026, 11, 24, tzinfo=UTC)


def test_a_job_without_any_pod_is_noticed() -> None:
    assert read(job()).podless_since == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert read(job(), pod("Failed")).podless_since is None


def test_another_jobs_pods_do_not_count() -> None:
    foreign = pod("Running")
    foreign["metadata"]["ownerReferences"][0]["uid"] = "another"
    assert not read(job(), foreign).running
    assert read(job(), pod("Running")).running


def test_its_configuration_is_kept() -> None:
    assert read(job()).config == "{}"
