"""FineTuneJobs on a real API server: ends, troubles, strangers, suspension, and who may write what."""

import json
from collections.abc import Iterator

import pytest

from control_plane.harness import QUOTAS, TARGET, Object, Operator, Scene, deployment_spec, target_spec, until
from control_plane.reports import digest, harvested, trained
from tuneloop_contracts.pods import RedisState
from tuneloop_contracts.progress import Fault, FaultReason, Report, Verdict
from tuneloop_operator.api.kinds import ADAPTERS, CLAIMS, DEPLOYMENTS, FINE_TUNE_JOBS, JOBS, PODS, SERVICES, TARGETS, Kind

pytestmark = pytest.mark.control_plane
POLICIES = Kind("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies")
BINDINGS = Kind("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings")


def harvest(stage: Scene, job: str = "week-47", **counts: int) -> None:
    until(lambda: stage.find(JOBS, f"{job}-harvest"))
    stage.run_pod(job, "harvest")
    stage.end_pod(job, "harvest", harvested(**(counts or {"support": 455})))


def reason(stage: Scene, job: str = "week-47") -> str:
    return stage.condition(FINE_TUNE_JOBS, job, "Ready")[1]


def test_too_little_data_is_a_result_and_no_training_job_is_ever_made(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.make_job()
    harvest(stage, support=31, legal=2)
    until(lambda: stage.stage("week-47") == "InsufficientData")
    assert stage.condition(FINE_TUNE_JOBS, "week-47", "Complete")[:2] == ("True", "InsufficientData")
    assert "support 31, legal 2" in stage.condition(FINE_TUNE_JOBS, "week-47", "Complete")[2]
    assert stage.find(JOBS, "week-47-train") is None


def test_what_the_gate_refuses_is_not_published(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.make_job()
    harvest(stage)
    stage.end_pod("week-47", "train", trained(Verdict.REJECT, support="a"))
    until(lambda: stage.stage("week-47") == "Rejected")
    assert stage.find(ADAPTERS, f"{TARGET}-support") is None


def test_a_collected_dataset_is_trained_by_a_later_job(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.make_job("collect", collectOnly=True)
    harvest(stage, "collect")
    until(lambda: stage.stage("collect") == "Collected")
    found = stage.get(FINE_TUNE_JOBS, "collect")["status"]["dataset"]
    stage.make_job(data={"datasetRef": {"uri": found["uri"], "digest": found["digest"]}})
    until(lambda: stage.find(JOBS, "week-47-train"))
    assert stage.find(JOBS, "week-47-harvest") is None


def test_a_training_over_two_pods_is_an_indexed_job_with_a_name_for_the_first(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.make_job(pods={"nodes": 2, "gpus": 4})
    harvest(stage)
    until(lambda: stage.find(JOBS, "week-47-train"))
    job = stage.get(JOBS, "week-47-train")
    service = stage.get(SERVICES, job["spec"]["template"]["spec"]["subdomain"])
    assert (job["spec"]["completionMode"], job["spec"]["completions"], job["spec"]["parallelism"]) == ("Indexed", 2, 2)
    pod = job["spec"]["template"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    env = {variable["name"]: variable.get("value") for variable in pod["spec"]["containers"][0]["env"]}
    assert env["MASTER_ADDR"] == f"week-47-train-0.{pod['spec']['subdomain']}"
    assert pod["spec"]["subdomain"] == service["metadata"]["name"]


def test_a_harvest_over_three_pods_survives_one_of_them(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.make_job(data={"parallelism": 3})
    job = until(lambda: stage.find(JOBS, "week-47-harvest"))
    assert (job["spec"]["completionMode"], job["spec"]["completions"], job["spec"]["parallelism"]) == ("Indexed", 3, 3)
    env = {variable["name"]: variable.get("value") for variable in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["TUNELOOP_PODS"] == "3"
    killed = stage.pod_of("week-47", "harvest", 2)["metadata"]["name"]
    stage.end_pod("week-47", "harvest", index=2, code=137)
    until(lambda: stage.pod_of("week-47", "harvest", 2)["metadata"]["name"] != killed, 60)
    for index in (1, 2):
        stage.end_pod("week-47", "harvest", index=index)
    stage.end_pod("week-47", "harvest", harvested(support=455), index=0)
    until(lambda: stage.find(JOBS, "week-47-train"))
    until(lambda: stage.get(FINE_TUNE_JOBS, "week-47")["status"].get("dataset", {}).get("kept") == 455)


def test_a_job_waits_for_its_target_says_why_and_heals(operator: Operator, stage: Scene) -> None:
    stage.make_job()
    until(lambda: reason(stage) == "TargetNotFound")
    stage.create(TARGETS, TARGET, target_spec())
    until(lambda: reason(stage) == "DeploymentNotFound")
    stage.create(DEPLOYMENTS, TARGET, deployment_spec(0))
    until(lambda: reason(stage) == "StoreNotFound")
    stage.create(CLAIMS, "artifacts", {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}})
    until(lambda: reason(stage) == "NoReplicas")
    assert stage.list(JOBS) == []
    stage.patch(DEPLOYMENTS, TARGET, {"spec": {"replicas": 1}})
    until(lambda: reason(stage) == "NoReadyPods")
    stage.make_server_pod(f"{TARGET}-0", stage.pods[0].port)
    until(lambda: stage.find(JOBS, "week-47-harvest"))


def test_a_claim_that_another_node_holds_is_told_and_heals(operator: Operator, stage: Scene) -> None:
    """Their pods have nodes, but no scheduler put them there and no kubelet looks after them."""
    stage.create(CLAIMS, "artifacts", {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}})
    stage.make_deployment(1)
    stage.create(TARGETS, TARGET, target_spec())
    stage.make_job()
    volume = {"name": "artifacts", "persistentVolumeClaim": {"claimName": "artifacts"}}
    stage.create(PODS, "holder", {"nodeName": "a", "containers": [{"name": "x", "image": "x"}], "volumes": [volume]})
    stage.patch(PODS, "holder", {"status": {"phase": "Running"}}, "status")
    waiting = stage.pod_of("week-47", "harvest")["metadata"]["name"]
    stage.bind(waiting, "b")
    long_ago = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    stage.patch(PODS, waiting, {"status": {"conditions": [long_ago]}}, "status")
    stage.patch(DEPLOYMENTS, TARGET, {"metadata": {"labels": {"look": "again"}}})
    until(lambda: stage.condition(TARGETS, TARGET, "Stalled")[:2] == ("True", "StoreNotShareable"))
    until(lambda: reason(stage) == "StoreNotShareable")
    told = stage.condition(FINE_TUNE_JOBS, "week-47", "Ready")[2]
    assert f"pod {waiting} on node b waits for it while pod holder on node a has it" in told
    stage.patch(PODS, "holder", {"status": {"phase": "Succeeded"}}, "status")
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[0] == "True")
    until(lambda: reason(stage) == "Harvesting")


def test_trouble_of_redis_is_told_by_the_pods_and_heals(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    until(lambda: stage.condition(TARGETS, TARGET, "Ready")[0] == "True")
    for state, want in (
        (RedisState.UNREACHABLE, "RedisUnreachable"),
        (RedisState.UNAUTHORIZED, "RedisUnauthorized"),
        (RedisState.UNSAFE_EVICTION, "UnsafeEvictionPolicy"),
    ):
        stage.pods[1].says(redis=state)
        until(lambda want=want: stage.condition(TARGETS, TARGET, "Ready")[1] == want, 5)  # type: ignore[misc]
    stage.make_job()
    until(lambda: reason(stage) == "UnsafeEvictionPolicy")
    assert stage.list(JOBS) == []
    stage.pods[1].says(redis=RedisState.OK)
    until(lambda: stage.find(JOBS, "week-47-harvest"))


def test_a_rank_that_a_pod_would_refuse_is_told_before_anything_is_trained(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.pods[1].says(max_lora_rank=8)
    until(lambda: stage.get(TARGETS, TARGET).get("status", {}).get("maxLoraRank") == 8)
    stage.make_job()
    until(lambda: reason(stage) == "RankTooLarge")
    assert "lora.rank is 16" in stage.condition(FINE_TUNE_JOBS, "week-47", "Ready")[2]
    assert stage.list(JOBS) == []
    stage.pods[1].says(max_lora_rank=16)
    until(lambda: stage.find(JOBS, "week-47-harvest"))


def test_a_pod_killed_is_retried_and_exit_2_is_not(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.make_job()
    harvest(stage)
    stage.end_pod("week-47", "train", code=137, reason="OOMKilled")
    until(lambda: reason(stage) == "Retrying")
    assert "OOMKilled" in stage.condition(FINE_TUNE_JOBS, "week-47", "Ready")[2]
    until(lambda: stage.pod_of("week-47", "train"), 60)
    stage.end_pod("week-47", "train", Report(fault=Fault(reason=FaultReason.BASE_MISMATCH, message="another base")), code=2)
    until(lambda: stage.condition(FINE_TUNE_JOBS, "week-47", "Failed")[:2] == ("True", "BaseMismatch"))
    assert "2 attempts" in stage.condition(FINE_TUNE_JOBS, "week-47", "Failed")[2]
    assert len(stage.list(JOBS)) == 2


def test_a_pod_that_cannot_be_scheduled_says_so(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.make_job(pods={"gpus": 1})
    harvest(stage)
    pod = stage.pod_of("week-47", "train")
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    blocked = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: Insufficient nvidia.com/gpu"}
    stage.patch(PODS, pod["metadata"]["name"], {"status": {"conditions": [blocked]}}, "status")
    until(lambda: reason(stage) == "Unschedulable")
    assert "Insufficient nvidia.com/gpu" in stage.condition(FINE_TUNE_JOBS, "week-47", "Ready")[2]
    assert stage.stage("week-47") == "Queued"


def test_a_strangers_job_is_left_alone(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    pod = {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}
    foreign = stage.create(JOBS, "week-47-harvest", {"template": {"spec": pod}})
    stage.make_job()
    until(lambda: reason(stage) == "NameConflict")
    assert stage.get(JOBS, "week-47-harvest")["metadata"]["uid"] == foreign["metadata"]["uid"]
    stage.delete(JOBS, "week-47-harvest")
    until(lambda: stage.get(JOBS, "week-47-harvest")["metadata"]["uid"] != foreign["metadata"]["uid"])


def test_a_job_whose_pods_the_api_server_refuses_has_failed_and_says_where(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.make_job(pods={"labels": {"team": "no label's value"}})
    until(lambda: stage.stage("week-47") == "Failed")
    status, why, message = stage.condition(FINE_TUNE_JOBS, "week-47", "Failed")
    assert (status, why) == ("True", "InvalidSpec")
    assert "metadata.labels" in message
    assert "no label's value" not in message


def test_a_quota_that_refuses_a_job_is_named_with_its_numbers(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.fill_quota("count/jobs.batch")
    stage.make_job()
    until(lambda: reason(stage) == "NotAllowed")
    assert "exceeded quota: full, requested: count/jobs.batch=1" in stage.condition(FINE_TUNE_JOBS, "week-47", "Ready")[2]
    stage.delete(QUOTAS, "full")
    until(lambda: stage.find(JOBS, "week-47-harvest"))


@pytest.fixture
def policy(stage: Scene) -> Iterator[str]:
    """One that lets nobody make a Job in the test's namespace."""
    name, anywhere = f"no-jobs-{stage.namespace}", stage.elsewhere("")
    rules = [{"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}]
    anywhere.create(POLICIES, name, {"matchConstraints": {"resourceRules": rules}, "validations": [{"expression": "false"}]})
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}}}
    anywhere.create(BINDINGS, name, {"policyName": name, "validationActions": ["Deny"], "matchResources": here})
    pod = {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}
    job = {"metadata": {"name": "x"}, "spec": {"template": {"spec": pod}}}
    until(lambda: stage.api.post(JOBS.path(stage.namespace), params={"dryRun": "All"}, json=job).status_code == 422)
    yield name
    anywhere.delete(BINDINGS, name)
    anywhere.delete(POLICIES, name)


def test_a_policy_that_refuses_a_job_is_named_and_may_be_mended(operator: Operator, stage: Scene, policy: str) -> None:
    stage.make_target()
    stage.make_job()
    until(lambda: reason(stage) == "NotAllowed")
    assert f"ValidatingAdmissionPolicy '{policy}'" in stage.condition(FINE_TUNE_JOBS, "week-47", "Ready")[2]
    stage.elsewhere("").delete(BINDINGS, policy)
    until(lambda: stage.find(JOBS, "week-47-harvest"), 60)


@pytest.mark.parametrize(
    "affinity",
    [
        pytest.param({"nodeAffinity": {"requiredDuringScheduling": {}}}, id="not known: it would be dropped without a word"),
        pytest.param({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": "node-a"}}, id="of another type"),
    ],
)
def test_an_affinity_that_the_api_server_cannot_read_ends_the_job_and_is_named(operator: Operator, stage: Scene, affinity: Object) -> None:
    stage.make_target()
    stage.make_job(pods={"affinity": affinity})
    harvest(stage)
    until(lambda: stage.stage("week-47") == "Failed")
    status, why, message = stage.condition(FINE_TUNE_JOBS, "week-47", "Failed")
    assert (status, why) == ("True", "InvalidSpec")
    assert "affinity.nodeAffinity.requiredDuringScheduling" in message
    assert "node-a" not in message


def test_suspend_stops_the_pods_and_resume_goes_on(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.make_job()
    harvest(stage)
    stage.run_pod("week-47", "train")
    until(lambda: stage.stage("week-47") == "Training")
    stage.patch(FINE_TUNE_JOBS, "week-47", {"spec": {"suspend": True}})
    until(lambda: stage.condition(FINE_TUNE_JOBS, "week-47", "Suspended")[0] == "True")
    until(lambda: stage.get(JOBS, "week-47-train")["spec"]["suspend"])
    stage.patch(FINE_TUNE_JOBS, "week-47", {"spec": {"suspend": False}})
    until(lambda: not stage.get(JOBS, "week-47-train")["spec"]["suspend"])
    until(lambda: stage.condition(FINE_TUNE_JOBS, "week-47", "Suspended")[0] == "False")
    until(lambda: stage.get(FINE_TUNE_JOBS, "week-47")["status"].get("dataset", {}).get("kept") == 455)


def test_older_data_never_replaces_newer(operator: Operator, stage: Scene) -> None:
    """Two jobs of one target: the one whose window ends first ends last."""
    stage.make_target()
    stage.make_job("older")
    until(lambda: stage.find(JOBS, "older-harvest"))
    stage.make_job("newer")
    harvest(stage, "newer")
    until(lambda: stage.find(JOBS, "newer-train"))
    harvest(stage, "older")
    stage.end_pod("newer", "train", trained(support="b"))
    until(lambda: stage.stage("newer") == "Complete")
    stage.end_pod("older", "train", trained(support="a"))
    until(lambda: stage.stage("older") == "Complete")
    assert stage.condition(FINE_TUNE_JOBS, "older", "Published")[:2] == ("False", "Superseded")
    assert stage.get(ADAPTERS, f"{TARGET}-support")["spec"]["artifact"]["digest"] == digest("b")


def test_a_job_is_judged_by_what_the_one_before_it_left_serving(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    for name in ("one", "two"):
        stage.make_job(name)
        harvest(stage, name)
        until(lambda: stage.find(JOBS, "one-train"))
    until(lambda: reason(stage, "two") == "AnotherFirst")
    assert "FineTuneJob one has trained" in stage.condition(FINE_TUNE_JOBS, "two", "Ready")[2]
    stage.end_pod("one", "train", trained(support="a"))
    container = until(lambda: stage.find(JOBS, "two-train"))["spec"]["template"]["spec"]["containers"][0]
    config = next(json.loads(variable["value"]) for variable in container["env"] if variable["name"] == "TUNELOOP_CONFIG")
    assert [serving["digest"] for serving in config["serving"]] == [digest("a")]


def test_an_artifact_that_another_manager_owns_is_left_alone(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    artifact = {"uri": "pvc://artifacts/chat/support/git", "digest": digest("9")}
    stage.create(ADAPTERS, f"{TARGET}-support", {"targetRef": {"name": TARGET}, "domain": "support", "artifact": artifact})
    stage.make_job()
    harvest(stage)
    stage.end_pod("week-47", "train", trained(support="a"))
    until(lambda: stage.stage("week-47") == "Complete")
    assert stage.condition(FINE_TUNE_JOBS, "week-47", "Published")[:2] == ("False", "ManagedElsewhere")
    assert stage.get(ADAPTERS, f"{TARGET}-support")["spec"]["artifact"] == artifact


def test_a_second_job_updates_only_the_artifact(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    name = f"{TARGET}-support"
    for job, mark in (("one", "a"), ("two", "b")):
        stage.make_job(job)
        harvest(stage, job)
        stage.end_pod(job, "train", trained(support=mark))
        until(lambda job=job: stage.stage(job) == "Complete")  # type: ignore[misc]
        if job == "one":
            stage.patch(ADAPTERS, name, {"spec": {"revisionHistoryLimit": 2}})
    spec = stage.get(ADAPTERS, name)["spec"]
    assert (spec["artifact"]["digest"], spec["revisionHistoryLimit"], spec["domain"]) == (digest("b"), 2, "support")
    until(lambda: stage.get(ADAPTERS, name)["status"].get("active") == f"support-v2-{'b' * 8}")
    assert stage.get(ADAPTERS, name)["metadata"]["annotations"]["tuneloop.dev/trained-by"] == "two"


def test_a_domain_that_somebody_wrote_an_adapter_for_gets_no_second_one(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.create(ADAPTERS, "ours", {"targetRef": {"name": TARGET}, "domain": "support"})
    stage.make_job()
    harvest(stage)
    stage.end_pod("week-47", "train", trained(support="a"))
    until(lambda: stage.stage("week-47") == "Complete")
    assert [adapter["metadata"]["name"] for adapter in stage.list(ADAPTERS)] == ["ours"]
    until(lambda: stage.get(ADAPTERS, "ours")["status"].get("active") == f"support-v1-{'a' * 8}")
    until(lambda: stage.get(FINE_TUNE_JOBS, "week-47")["status"]["adapters"][0].get("revision") == f"support-v1-{'a' * 8}")


def test_git_may_say_the_rest_of_an_adapter_that_a_job_made(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.make_job()
    harvest(stage)
    stage.end_pod("week-47", "train", trained(support="a"))
    until(lambda: stage.stage("week-47") == "Complete")
    name, spec = f"{TARGET}-support", {"targetRef": {"name": TARGET}, "domain": "support", "revisionHistoryLimit": 10}
    body = {"apiVersion": ADAPTERS.api_version, "kind": ADAPTERS.name, "metadata": {"name": name}, "spec": spec}
    said = stage.api.patch(
        ADAPTERS.path(stage.namespace, name), params={"fieldManager": "git"}, content=json.dumps(body),
        headers={"Content-Type": "application/apply-patch+yaml"},
    )  # fmt: skip
    assert said.status_code == 200, said.text
    assert stage.get(ADAPTERS, name)["spec"]["artifact"]["digest"] == digest("a")


def test_finished_jobs_are_pruned_and_the_object_stays(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.make_job(ttlSecondsAfterFinished=0)
    harvest(stage, support=3)
    until(lambda: stage.stage("week-47") == "InsufficientData")
    until(lambda: stage.list(JOBS) == [])
    assert stage.stage("week-47") == "InsufficientData"
