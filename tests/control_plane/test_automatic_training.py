"""An operator that trains by itself, and looks after one namespace only."""

from pathlib import Path

import pytest

from control_plane.harness import TARGET, Operator, Scene, until
from control_plane.process import ControlPlane
from tuneloop_operator.api.kinds import FINE_TUNE_JOBS, JOBS, TARGETS

pytestmark = pytest.mark.control_plane


def test_a_target_without_a_job_for_long_gets_one(plane: ControlPlane, operator: Operator, stage: Scene, tmp_path: Path) -> None:
    operator.stop()
    own = Operator(plane, tmp_path / "log", WATCH_NAMESPACES=stage.namespace, AUTO_TRAINING_INTERVAL="1s")
    own.start()
    try:
        stage.make_target()
        elsewhere = stage.elsewhere("default")
        elsewhere.make_job("elsewhere")
        until(lambda: stage.condition(TARGETS, TARGET, "Ready")[0] == "True")
        job = until(lambda: stage.list(FINE_TUNE_JOBS))[0]
        assert job["metadata"]["name"].startswith(f"{TARGET}-auto-")
        assert job["spec"]["targetRef"] == {"name": TARGET}
        until(lambda: stage.find(JOBS, f"{job['metadata']['name']}-harvest"))
        made = job["metadata"]["creationTimestamp"]
        until(lambda: stage.get(TARGETS, TARGET)["status"].get("lastJobTime") == made)
        assert len(stage.list(FINE_TUNE_JOBS)) == 1, "the first is still at work"
        assert elsewhere.condition(FINE_TUNE_JOBS, "elsewhere", "Ready")[:2] == ("Unknown", "Pending")
        elsewhere.delete(FINE_TUNE_JOBS, "elsewhere")
    finally:
        assert own.stop() == 0, own.log()
        operator.start()
        until(lambda: "this operator is the active one" in operator.log().rpartition("waiting for the Lease")[2])
