"""Revisions on a real API server, with pods that report over a real status port."""

import json

import pytest

from control_plane.harness import QUOTAS, TARGET, Operator, Scene, target_spec, until
from control_plane.reports import digest
from tuneloop_contracts.pods import LoadFault
from tuneloop_operator.api.kinds import ADAPTERS, CONFIG_MAPS, TARGETS

pytestmark = pytest.mark.control_plane

NAME = f"{TARGET}-support"


def artifact(mark: str) -> dict:
    return {"uri": f"pvc://artifacts/chat/support/{mark}", "digest": digest(mark)}


def make_adapter(stage: Scene, mark: str = "a", name: str = NAME) -> None:
    stage.create(ADAPTERS, name, {"targetRef": {"name": TARGET}, "domain": "support", "artifact": artifact(mark)})


def route(stage: Scene) -> str:
    routes = stage.manifest()["routes"].get("support", [])
    return str(routes[0]["to"]) if routes else ""


def revision(number: int, mark: str) -> str:
    return f"support-v{number}-{mark * 8}"


def serving(stage: Scene, number: int, mark: str) -> bool:
    return stage.get(ADAPTERS, NAME)["status"].get("active") == revision(number, mark) and route(stage) == revision(number, mark)


def test_a_new_digest_takes_over_and_a_rollback_takes_it_back(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    make_adapter(stage)
    until(lambda: serving(stage, 1, "a"))
    stage.patch(ADAPTERS, NAME, {"spec": {"artifact": artifact("b")}})
    until(lambda: serving(stage, 2, "b"))
    stage.patch(ADAPTERS, NAME, {"metadata": {"annotations": {"tuneloop.dev/rollback-to": revision(1, "a")}}})
    until(lambda: serving(stage, 1, "a"))
    status = until(lambda: _settled(stage, "RolledBack"))
    assert status["rolledBackTo"] == revision(1, "a")
    assert {r["name"]: r["state"] for r in status["revisions"]} == {revision(1, "a"): "Active", revision(2, "b"): "RolledBack"}
    until(lambda: stage.condition(ADAPTERS, NAME, "Ready")[:2] == ("True", "RolledBack"))


def _settled(stage: Scene, reason: str) -> dict:
    found = stage.get(ADAPTERS, NAME)["status"]
    return found if stage.condition(ADAPTERS, NAME, "Ready")[1] == reason else {}


def test_a_bad_artifact_is_refused_and_what_serves_is_untouched(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    make_adapter(stage)
    until(lambda: serving(stage, 1, "a"))
    stage.pods[1].bad[digest("b")] = LoadFault.UNSAFE_FORMAT
    stage.patch(ADAPTERS, NAME, {"spec": {"artifact": artifact("b")}})
    until(lambda: stage.condition(ADAPTERS, NAME, "Degraded")[:2] == ("True", "UnsafeFormat"))
    assert stage.condition(ADAPTERS, NAME, "Available")[0] == "True"
    until(lambda: len(stage.manifest()["adapters"]) == 1)
    assert serving(stage, 1, "a")
    stage.patch(ADAPTERS, NAME, {"spec": {"artifact": artifact("a")}})
    until(lambda: stage.condition(ADAPTERS, NAME, "Ready")[:2] == ("True", "Serving"))
    assert stage.condition(ADAPTERS, NAME, "Degraded")[0] == "False"


def test_an_artifact_that_is_not_there_yet_is_waited_for(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    for pod in stage.pods:
        pod.bad[digest("a")] = LoadFault.ARTIFACT_NOT_FOUND
    make_adapter(stage)
    until(lambda: stage.condition(ADAPTERS, NAME, "Ready")[1] == "ArtifactNotFound")
    assert route(stage) == ""
    until(lambda: stage.get(ADAPTERS, NAME)["status"]["pods"]["failedCount"] == 2)  # each pod is heard by itself
    assert {failed["reason"] for failed in stage.get(ADAPTERS, NAME)["status"]["pods"]["failed"]} == {"ArtifactNotFound"}
    for pod in stage.pods:
        pod.bad.clear()
    until(lambda: serving(stage, 1, "a"))


def test_a_lost_config_map_and_a_wiped_status_come_back_as_they_were(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    make_adapter(stage)
    until(lambda: serving(stage, 1, "a"))
    stage.patch(ADAPTERS, NAME, {"spec": {"artifact": artifact("b")}})
    until(lambda: serving(stage, 2, "b"))
    until(lambda: stage.condition(ADAPTERS, NAME, "Ready")[1] == "Serving")
    before, data = stage.get(ADAPTERS, NAME)["status"], stage.get(CONFIG_MAPS, f"{TARGET}-adapters")["data"]

    stage.delete(CONFIG_MAPS, f"{TARGET}-adapters")
    until(lambda: stage.get(CONFIG_MAPS, f"{TARGET}-adapters")["data"] == data)
    stage.patch(ADAPTERS, NAME, {"status": None}, "status")
    until(lambda: _timeless(stage.get(ADAPTERS, NAME)["status"]) == _timeless(before))
    stage.patch(CONFIG_MAPS, f"{TARGET}-adapters", {"data": {"manifest.json": "{}", "revisions.json": "not json"}})
    until(lambda: stage.get(CONFIG_MAPS, f"{TARGET}-adapters")["data"] == data)


def _timeless(status: dict) -> dict:
    return {**status, "conditions": sorted((c["type"], c["status"], c["reason"]) for c in status.get("conditions", []))}


def test_the_older_of_two_adapters_serves_and_the_younger_is_told(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    make_adapter(stage)
    until(lambda: serving(stage, 1, "a"))
    make_adapter(stage, "b", "younger")
    until(lambda: stage.condition(ADAPTERS, "younger", "Ready")[:2] == ("False", "DomainTaken"))
    assert NAME in stage.condition(ADAPTERS, "younger", "Ready")[2]
    assert serving(stage, 1, "a")
    stage.delete(ADAPTERS, NAME)
    until(lambda: route(stage) == revision(1, "b"))
    assert [a["name"] for a in stage.manifest()["adapters"]] == [revision(1, "b")]


def test_an_adapter_without_its_target_says_so(operator: Operator, stage: Scene) -> None:
    make_adapter(stage)
    until(lambda: stage.condition(ADAPTERS, NAME, "Ready")[1] == "TargetNotFound")


def test_two_targets_on_one_deployment_the_older_wins(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[0] == "True")
    stage.create(TARGETS, "zz-second", target_spec())
    until(lambda: stage.condition(TARGETS, "zz-second", "Ready")[1] == "DuplicateTarget")
    assert stage.find(CONFIG_MAPS, "zz-second-adapters") is None
    assert stage.condition(TARGETS, TARGET, "Ready")[0] == "True"


def test_a_server_of_another_base_is_told_and_heals(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[0] == "True")
    stage.pods[0].says(base_model="another")
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[1] == "BaseMismatch")
    stage.pods[0].says(base_model="smollm2")
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[0] == "True")
    status = stage.get(TARGETS, TARGET)["status"]
    assert (status["replicas"], status["recorded"]) == ({"desired": 2, "ready": 2, "reporting": 2}, {"support": 412})


def test_a_target_whose_manifest_no_config_map_can_hold_is_told(operator: Operator, stage: Scene) -> None:
    words = [{"name": f"d{n}", "examples": ["w" * 400] * 60} for n in range(50)]
    stage.make_target(domains=words)
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[1] == "ManifestRefused")
    assert "fewer domains" in stage.condition(TARGETS, TARGET, "Ready")[2]
    stage.patch(TARGETS, TARGET, {"spec": {"domains": words[:2]}})
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[0] == "True")


def test_a_manifest_that_somebody_made_immutable_is_told_and_heals(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[0] == "True")
    stage.patch(CONFIG_MAPS, f"{TARGET}-adapters", {"immutable": True})
    stage.patch(TARGETS, TARGET, {"spec": {"maxLoadedAdapters": 5}})
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[1] == "ManifestRefused")
    assert "delete it" in stage.condition(TARGETS, TARGET, "Ready")[2]
    stage.delete(CONFIG_MAPS, f"{TARGET}-adapters")
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[0] == "True")


def test_a_quota_that_refuses_the_manifest_is_told_and_heals(operator: Operator, stage: Scene) -> None:
    stage.fill_quota("configmaps")
    stage.make_target()
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[1] == "NotAllowed")
    assert "exceeded quota: full, requested: configmaps=1" in stage.condition(TARGETS, TARGET, "Ready")[2]
    stage.delete(QUOTAS, "full")
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[0] == "True")


def test_deleting_the_target_takes_its_config_map(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    make_adapter(stage)
    until(lambda: serving(stage, 1, "a"))
    stage.delete(TARGETS, TARGET)
    until(lambda: stage.find(CONFIG_MAPS, f"{TARGET}-adapters") is None)
    until(lambda: stage.condition(ADAPTERS, NAME, "Ready")[1] == "TargetNotFound")
    assert json.dumps(stage.get(ADAPTERS, NAME)["metadata"]).count("finalizers") == 0
