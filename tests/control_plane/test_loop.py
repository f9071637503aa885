"""The whole loop on a real API server: a FineTuneJob becomes Jobs, adapters, revisions, and what the pods serve."""

import pytest

from control_plane.harness import TARGET, Operator, Scene, until
from control_plane.reports import digest, harvested, trained
from tuneloop_operator.api.kinds import ADAPTERS, CONFIG_MAPS, FINE_TUNE_JOBS, JOBS, TARGETS

pytestmark = pytest.mark.control_plane


def test_a_job_ends_with_its_adapters_serving(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[0] == "True")

    stage.make_job()
    until(lambda: stage.find(JOBS, "week-47-harvest"), 5)
    assert stage.find(JOBS, "week-47-train") is None
    stage.run_pod("week-47", "harvest")
    stage.end_pod("week-47", "harvest", harvested(support=455, legal=31))
    until(lambda: stage.find(JOBS, "week-47-train"))
    stage.run_pod("week-47", "train")
    until(lambda: stage.stage("week-47") == "Training")
    stage.end_pod("week-47", "train", trained(support="a"))

    until(lambda: stage.condition(FINE_TUNE_JOBS, "week-47", "Complete")[0] == "True")
    until(lambda: stage.condition(ADAPTERS, f"{TARGET}-support", "Ready")[:2] == ("True", "Serving"))
    name = f"support-v1-{'a' * 8}"
    assert stage.manifest()["routes"] == {"support": [{"to": name, "weight": 100}]}
    until(lambda: stage.get(TARGETS, TARGET)["status"].get("routes") == [{"domain": "support", "revision": name, "weight": 100}])
    status = until(lambda: _with_revision(stage))
    want = {
        "domain": "support", "digest": digest("a"), "uri": f"pvc://artifacts/chat/support/sha256-{'a' * 64}", "verdict": "Promote",
        "examples": 410, "published": "Published", "revision": name,
    }  # fmt: skip
    assert status["adapters"][0] | want == status["adapters"][0]
    assert "too few examples for legal (31)" in stage.condition(FINE_TUNE_JOBS, "week-47", "Complete")[2]
    assert stage.get(ADAPTERS, f"{TARGET}-support")["metadata"].get("ownerReferences") is None
    assert stage.find(CONFIG_MAPS, f"{TARGET}-adapters") is not None


def _with_revision(stage: Scene) -> dict:
    status = stage.get(FINE_TUNE_JOBS, "week-47")["status"]
    return status if status["adapters"][0].get("revision") else {}
