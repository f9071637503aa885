"""Whatever is lost, and whenever: the end is the same, nothing is made twice, and nothing is left behind."""

from typing import Any

import pytest

from control_plane.harness import TARGET, Operator, Scene, until
from control_plane.reports import harvested, trained
from tuneloop_contracts.names import JOB_LABEL
from tuneloop_operator.api.kinds import ADAPTERS, FINE_TUNE_JOBS, JOBS, PODS, TARGETS

pytestmark = pytest.mark.control_plane


def uids(stage: Scene) -> dict[str, str]:
    return {job["metadata"]["name"]: job["metadata"]["uid"] for job in stage.list(JOBS)}


def restart(operator: Operator) -> None:
    operator.kill()
    operator.start()


def serving(stage: Scene) -> bool:
    return stage.condition(ADAPTERS, f"{TARGET}-support", "Ready")[:2] == ("True", "Serving")


def test_an_operator_that_is_killed_in_each_phase_ends_the_same(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.make_job()
    restart(operator)
    until(lambda: stage.find(JOBS, "week-47-harvest"))
    stage.run_pod("week-47", "harvest")
    operator.kill()
    stage.end_pod("week-47", "harvest", harvested(support=455))  # nobody hears it: the termination message does
    operator.start()
    until(lambda: stage.find(JOBS, "week-47-train"))
    stage.run_pod("week-47", "train")
    made = uids(stage)
    operator.kill()
    stage.end_pod("week-47", "train", trained(support="a"))
    operator.start()
    until(lambda: stage.stage("week-47") == "Complete")
    restart(operator)
    until(lambda: serving(stage))
    assert uids(stage) == made
    assert set(made) == {"week-47-harvest", "week-47-train"}
    assert stage.manifest()["routes"]["support"][0]["to"] == f"support-v1-{'a' * 8}"


def test_a_status_that_is_wiped_in_each_phase_comes_back(operator: Operator, stage: Scene) -> None:
    def wipe() -> None:
        stage.patch(FINE_TUNE_JOBS, "week-47", {"status": None}, "status")

    stage.make_target()
    stage.make_job()
    until(lambda: stage.stage("week-47") == "Harvesting")
    window = until(lambda: stage.get(FINE_TUNE_JOBS, "week-47")["status"].get("window"))
    wipe()
    until(lambda: stage.get(FINE_TUNE_JOBS, "week-47")["status"].get("window") == window)
    stage.end_pod("week-47", "harvest", harvested(support=455))
    until(lambda: stage.find(JOBS, "week-47-train"))
    stage.run_pod("week-47", "train")
    wipe()
    until(lambda: stage.stage("week-47") == "Training")
    stage.end_pod("week-47", "train", trained(support="a"))
    until(lambda: stage.stage("week-47") == "Complete")
    until(lambda: stage.get(FINE_TUNE_JOBS, "week-47")["status"]["adapters"][0].get("revision"))
    made, before = uids(stage), stage.get(FINE_TUNE_JOBS, "week-47")["status"]
    wipe()
    until(lambda: comparable(stage.get(FINE_TUNE_JOBS, "week-47")["status"]) == comparable(before))
    assert uids(stage) == made
    stage.patch(TARGETS, TARGET, {"status": None}, "status")
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[0] == "True")


def comparable(status: dict[str, Any]) -> dict[str, Any]:
    """But for times, and for how far a pod was: that is nowhere else."""
    conditions = sorted((c["type"], c["status"], c["reason"]) for c in status.get("conditions", []))
    return {**{k: v for k, v in status.items() if k not in ("completedAt", "progress")}, "conditions": conditions}


@pytest.mark.parametrize("phase", ["Harvesting", "Training", "Complete"])
def test_a_job_that_is_deleted_leaves_nothing_of_its_own(operator: Operator, stage: Scene, phase: str) -> None:
    stage.make_target()
    stage.make_job()
    until(lambda: stage.find(JOBS, "week-47-harvest"))
    if phase != "Harvesting":
        stage.end_pod("week-47", "harvest", harvested(support=455))
        until(lambda: stage.find(JOBS, "week-47-train"))
    if phase == "Complete":
        stage.end_pod("week-47", "train", trained(support="a"))
        until(lambda: stage.stage("week-47") == "Complete")
    stage.delete(FINE_TUNE_JOBS, "week-47")
    until(lambda: stage.find(FINE_TUNE_JOBS, "week-47") is None)
    until(lambda: stage.list(JOBS) == [] and stage.list(PODS, JOB_LABEL) == [])
    assert (stage.find(ADAPTERS, f"{TARGET}-support") is not None) == (phase == "Complete")
    stage.make_job()  # the name is free again, and nothing old is taken for its own
    until(lambda: stage.stage("week-47") == "Harvesting" and stage.find(JOBS, "week-47-harvest"))
    assert "dataset" not in stage.get(FINE_TUNE_JOBS, "week-47")["status"]


def test_a_report_that_nobody_heard_is_asked_for_again(operator: Operator, stage: Scene) -> None:
    """The pod is gone before anybody read its message: the Job runs again, and says what it did before."""
    stage.make_target()
    stage.make_job()
    until(lambda: stage.find(JOBS, "week-47-harvest"))
    first = uids(stage)["week-47-harvest"]
    stage.end_pod("week-47", "harvest")
    until(lambda: uids(stage).get("week-47-harvest", first) != first)
    stage.end_pod("week-47", "harvest", harvested(support=455))
    until(lambda: stage.find(JOBS, "week-47-train"))


def test_a_stopped_operator_gives_its_lease_back(operator: Operator, stage: Scene) -> None:
    assert operator.stop() == 0
    lease = stage.api.get("/apis/coordination.k8s.io/v1/namespaces/default/leases/tuneloop-operator").json()
    assert "holderIdentity" not in lease["spec"]
    operator.start()
    stage.make_target()
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[0] == "True")


def test_nothing_of_the_operator_is_left_on_objects_and_nothing_secret_is_logged(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.make_job()
    until(lambda: stage.find(JOBS, "week-47-harvest"))
    for kind, name in ((TARGETS, TARGET), (FINE_TUNE_JOBS, "week-47"), (JOBS, "week-47-harvest")):
        meta = stage.get(kind, name)["metadata"]
        assert (meta.get("annotations", {}), "foregroundDeletion" in meta.get("finalizers", [])) == ({}, False)
    assert stage.get(FINE_TUNE_JOBS, "week-47")["metadata"].get("finalizers") is None
    assert "ERROR tuneloop_operator.queue" not in operator.log()
