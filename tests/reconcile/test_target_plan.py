"""How an InferenceTarget is, for what is seen; and what is written of it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tuneloop_contracts.manifest import AdapterManifest, Route
from tuneloop_contracts.pods import PodReport, RedisState
from tuneloop_operator.api.conditions import timestamp
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.inferencetarget.claim_conflict import ClaimConflict, find_conflict, is_shareable
from tuneloop_operator.inferencetarget.manifests import config_map, status
from tuneloop_operator.inferencetarget.observe import address_of, selector_of
from tuneloop_operator.inferencetarget.plan import RULES, plan
from tuneloop_operator.inferencetarget.snapshot import Snapshot, claims_of
from tuneloop_operator.ledger.inputs import Pod
from tuneloop_operator.ledger.model import Ledger

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SPEC = {
    "deploymentRef": {"name": "chat"}, "redis": {"secretRef": {"name": "r"}},
    "baseModel": {"name": "smollm2", "uri": "pvc://models/smollm2"},
    "artifacts": {"adapters": {"uri": "pvc://artifacts/chat"}, "datasets": {"uri": "s3://private/chat"}},
}  # fmt: skip
GOOD = PodReport(resource_version="7", revision=3, base_model="smollm2", base_digest="sha256:b", redis=RedisState.OK)


def deployment(mount: str = "/var/lib/tuneloop/stores/artifacts", replicas: int = 1) -> dict[str, Any]:
    pod = {
        "containers": [{"name": "server", "volumeMounts": [{"name": "a", "mountPath": mount}]}],
        "volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "artifacts"}}],
    }
    return {"spec": {"replicas": replicas, "template": {"spec": pod}}}


def seen(**changes: Any) -> Snapshot:
    whole = Snapshot("chat", "uid", "ns", InferenceTargetSpec.parse(SPEC), deployment(), (Pod("pod-0", GOOD), Pod("pod-1", GOOD)))
    return replace(whole, **changes)


def pods(**changes: Any) -> tuple[Pod, ...]:
    """The second of two says something else."""
    return Pod("pod-0", GOOD), Pod("pod-1", GOOD.model_copy(update=changes))


CASES = [
    pytest.param(seen(), "Serving", False, "2 of 2 ready pods answer", id="all is well"),
    pytest.param(seen(pods=(Pod("pod-0", GOOD), Pod("pod-1", None, "x"))), "Serving", False, "1 of 2", id="one pod does not answer"),
    pytest.param(seen(older_target="first"), "DuplicateTarget", True, "belongs to InferenceTarget first", id="a second target"),
    pytest.param(seen(deployment=None), "DeploymentNotFound", False, "no Deployment chat in namespace ns", id="no Deployment"),
    pytest.param(seen(absent_claims=("artifacts",)), "StoreNotFound", False, "no PersistentVolumeClaim artifacts", id="no claim"),
    pytest.param(
        seen(deployment=deployment("/data")), "StoreNotMounted", True,
        "volumeMounts: [{name: artifacts, mountPath: /var/lib/tuneloop/stores/artifacts, readOnly: true}]", id="mounted elsewhere",
    ),
    pytest.param(
        seen(claim_conflict=ClaimConflict("artifacts", "train-0 on node b", "chat-0 on node a")), "StoreNotShareable", True,
        "pod train-0 on node b waits for it while pod chat-0 on node a has it; make the claim ReadWriteMany", id="held by another node",
    ),
    pytest.param(seen(deployment=deployment(replicas=0)), "NoReplicas", False, "scaled to 0", id="scaled to 0"),
    pytest.param(seen(pods=()), "NoReadyPods", False, "no pod of Deployment chat is ready", id="no pod is ready"),
    pytest.param(
        seen(pods=(Pod("pod-0", None, "10.0.0.1:8081 answers 404"),)), "NotATuneloopServer", False, "answers 404", id="not ours"
    ),
    pytest.param(seen(pods=pods(redis=RedisState.UNREACHABLE)), "RedisUnreachable", False, "pod-1 does not answer", id="Redis down"),
    pytest.param(seen(pods=pods(redis=RedisState.UNAUTHORIZED)), "RedisUnauthorized", False, "mend the Secret", id="Redis password"),
    pytest.param(seen(pods=pods(redis=RedisState.UNSAFE_EVICTION)), "UnsafeEvictionPolicy", True, "noeviction", id="Redis evicts"),
    pytest.param(seen(pods=pods(redis=RedisState.OFF)), "RedisOff", True, "give the pods REDIS_URL", id="no Redis"),
    pytest.param(seen(pods=pods(base_model="other")), "BaseMismatch", True, "serves other, the target says smollm2", id="other base"),
    pytest.param(seen(pods=pods(base_digest="sha256:c")), "BaseMismatch", False, "different weights", id="two bases"),
    pytest.param(seen(pods=pods(resource_version="")), "ManifestNotRead", False, "ConfigMap chat-adapters", id="no right to the ConfigMap"),
]  # fmt: skip


@pytest.mark.parametrize(("world", "want_reason", "want_edit", "want_message"), CASES)
def test_plan(world: Snapshot, want_reason: str, want_edit: bool, want_message: str) -> None:
    got = plan(world)
    assert (got.ready, got.reason, got.needs_edit) == (want_reason == "Serving", want_reason, want_edit)
    assert want_message in got.message


def test_every_rule_has_a_case() -> None:
    speaking = {next((rule.__name__ for rule in RULES if rule(case.values[0])), "") for case in CASES}
    assert speaking - {""} == {rule.__name__ for rule in RULES}


def holder(
    name: str, node: str, *, claim: str = "artifacts", phase: str = "Running", since: int = 3600, ready: bool = False
) -> dict[str, Any]:
    """A pod that mounts a claim, and got its node so many seconds ago. `ready`: its containers may start."""
    placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp(NOON - timedelta(seconds=since))}
    sandbox = {"type": "PodReadyToStartContainers", "status": str(ready), "lastTransitionTime": timestamp(NOON)}
    return {
        "metadata": {"name": name, "creationTimestamp": timestamp(NOON - timedelta(days=1))},
        "spec": {"nodeName": node, "volumes": [{"name": "tmp"}, {"name": "x", "persistentVolumeClaim": {"claimName": claim}}]},
        "status": {"phase": phase, "conditions": [placed, sandbox]},
    }  # fmt: skip


SERVES = holder("chat-0", "a")


@pytest.mark.parametrize(
    ("pods", "want"),
    [
        pytest.param([SERVES, holder("train-0", "b", phase="Pending")], True, id="another node waits"),
        pytest.param([SERVES, holder("train-0", "b", phase="Pending", since=30)], False, id="not for long yet"),
        pytest.param([SERVES, holder("train-0", "b", phase="Pending", ready=True)], False, id="for its image only"),
        pytest.param([SERVES, holder("train-0", "a", phase="Pending")], False, id="on the same node"),
        pytest.param([SERVES, holder("train-0", "", phase="Pending")], False, id="without a node"),
        pytest.param([SERVES, holder("train-0", "b")], False, id="a file system that goes to both"),
        pytest.param([holder("chat-0", "a", phase="Succeeded"), holder("train-0", "b", phase="Pending")], False, id="the other is over"),
        pytest.param([SERVES, holder("train-0", "b", claim="other", phase="Pending")], False, id="for another claim"),
        pytest.param([holder("train-0", "b", phase="Pending")], False, id="nobody has it"),
    ],
)  # fmt: skip
def test_a_claim_is_not_shared_while_a_pod_waits_for_what_another_node_has(pods: list[dict[str, Any]], want: bool) -> None:
    told = ClaimConflict("artifacts", "train-0 on node b", "chat-0 on node a")
    assert find_conflict(["artifacts"], pods, NOON) == (told if want else None)


@pytest.mark.parametrize(
    ("modes", "want"), [(["ReadWriteOnce"], False), (["ReadWriteOncePod"], False), (["ReadWriteOnce", "ReadWriteMany"], True), ([], False)]
)
def test_a_claim_says_by_its_modes_whether_it_can_be_shared(modes: list[str], want: bool) -> None:
    assert is_shareable({"spec": {"accessModes": modes}}) is want


def test_stores_that_are_no_claim_need_none() -> None:
    assert claims_of(seen().spec) == ["artifacts", "models"]
    hub = InferenceTargetSpec.parse(
        {**SPEC, "baseModel": {"name": "m", "uri": "hf://org/m@1"}, "artifacts": {"adapters": {"uri": "s3://b/x"}}}
    )
    assert claims_of(hub) == []
    assert plan(seen(spec=hub.model_copy(update={"base_model": seen().spec.base_model}), deployment=deployment("/data"))).ready


@pytest.mark.parametrize(
    ("ports", "ip", "want"),
    [
        ([], "10.0.0.1", "10.0.0.1:8081"),
        ([{"name": "http", "containerPort": 8000}, {"name": "tuneloop-status", "containerPort": 9000}], "10.0.0.1", "10.0.0.1:9000"),
        ([], "fd00::1", "[fd00::1]:8081"),
    ],
)
def test_the_status_port_is_found_by_its_name(ports: list[dict[str, Any]], ip: str, want: str) -> None:
    pod = {"metadata": {"name": "p", "uid": "u"}, "spec": {"containers": [{"ports": ports}]}, "status": {"podIP": ip}}
    assert address_of(pod).host == want


def test_the_pods_of_an_adopted_deployment_are_found_by_its_whole_selector() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "env", "operator": "NotIn", "values": ["dev"]},
        {"key": "llm", "operator": "Exists"}, {"key": "canary", "operator": "DoesNotExist"},
    ]  # fmt: skip
    deployment = {"spec": {"selector": {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": expressions}}}
    assert selector_of(deployment) == "a=1,b=2,tier in (a,b),env notin (dev),llm,!canary"


def test_the_config_map_whole() -> None:
    manifest = AdapterManifest(base_model="smollm2", routes={"support": (Route(to="support-v1-aaaaaaaa"),)})
    got = config_map(seen(), manifest, Ledger())
    data = got.pop("data")
    assert got == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "chat-adapters", "namespace": "ns", "labels": {"tuneloop.dev/target": "chat"},
            "ownerReferences": [
                {"apiVersion": "tuneloop.dev/v1alpha1", "kind": "InferenceTarget", "name": "chat", "uid": "uid", "controller": True}
            ],
        },
    }  # fmt: skip
    assert AdapterManifest.model_validate_json(data["manifest.json"]) == manifest
    assert json.loads(data["revisions.json"]) == {"entries": {}}


def test_the_rank_of_a_target_is_what_its_narrowest_pod_loads() -> None:
    def told(*ranks: int) -> Any:
        reports = [Pod(f"pod-{rank}", GOOD.model_copy(update={"max_lora_rank": rank})) for rank in ranks]
        return status(seen(pods=tuple(reports)), plan(seen()), AdapterManifest(), {}, {}, 3, NOON).get("maxLoraRank")

    assert (told(64, 16), told(0, 16), told(0), told()) == (16, 16, None, None)


def test_the_status_whole() -> None:
    manifest = AdapterManifest(routes={"support": (Route(to="support-v1-aaaaaaaa"),)})
    got = status(seen(), plan(seen()), manifest, {"support": 412}, {}, 3, NOON)
    conditions = {c["type"]: (c["status"], c["reason"]) for c in got.pop("conditions")}
    assert got == {
        "observedGeneration": 3,
        "baseDigest": "sha256:b",
        "replicas": {"desired": 1, "ready": 2, "reporting": 2},
        "routes": [{"domain": "support", "revision": "support-v1-aaaaaaaa", "weight": 100}],
        "recorded": {"support": 412},
    }
    assert conditions == {"Ready": ("True", "Serving"), "Reconciling": ("False", "Serving"), "Stalled": ("False", "Serving")}
