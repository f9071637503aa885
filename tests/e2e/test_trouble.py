"""Things die, disappear or arrive broken: the state comes back, and nothing that served stops serving."""

import json
from collections.abc import Sequence

import pytest

from builders_e2e import ConstantTraffic, Trained, finetune_job
from tuneloop_demo import kube
from tuneloop_demo.installation import Installation
from tuneloop_demo.questions import Question

HEALS = 120
NOTICED = 30
"""Seconds in which a condition must name what is wrong."""


def target(installation: Installation) -> kube.Manifest:
    return kube.get("inferencetarget", installation.target, namespace=installation.namespace)  # type: ignore[no-any-return]


def ready_reason(installation: Installation, reason: str) -> bool:
    return kube.condition(target(installation), "Ready").get("reason") == reason


def adapter(installation: Installation, name: str = "general") -> kube.Manifest:
    return kube.get("loraadapter", f"{installation.target}-{name}", namespace=installation.namespace)  # type: ignore[no-any-return]


def scale(installation: Installation, deployment: str, replicas: int) -> None:
    kube.run("kubectl", "scale", f"deployment/{deployment}", f"--replicas={replicas}", "-n", installation.namespace)


def test_training_survives_the_death_of_its_pod_and_of_the_operator(installation: Installation, trained: Trained) -> None:
    namespace = installation.namespace
    report = {"gate": "Report"}  # publish, whether better than the first or not: the next test goes back and forth between them
    kube.apply(finetune_job("killed", ["general"], installation, evaluation=report, lora={"rank": 8}), namespace=namespace)
    pod = kube.until("a running training pod", lambda: _running(installation, "killed"), seconds=180)
    kube.run("kubectl", "delete", "pod", pod, "-n", namespace, "--grace-period=0", "--force")
    kube.run("kubectl", "delete", "pod", "-l", "app.kubernetes.io/component=operator", "-n", namespace, "--grace-period=0", "--force")

    def ended() -> kube.Manifest | None:
        job = kube.get("finetunejob", "killed", namespace=namespace)
        return job if kube.is_true(job, "Complete") or kube.is_true(job, "Failed") else None

    job = kube.until("the end of the job", ended, seconds=600, every=1)
    assert kube.is_true(job, "Complete"), job["status"]
    jobs = kube.get("jobs", namespace=namespace, selector="tuneloop.dev/finetunejob=killed")
    assert [entry["metadata"]["name"] for entry in jobs] == ["killed-harvest", "killed-train"]
    kube.until("the second revision to serve", lambda: active(installation).startswith("general-v2-"), seconds=60)


def test_rolling_back_and_forth_loses_no_request(installation: Installation, trained: Trained) -> None:
    namespace, name, newer = installation.namespace, f"{installation.target}-general", active(installation)
    assert newer != trained.revision
    before = installation.lives()
    with installation.replicas() as servers:
        traffic = [ConstantTraffic(server, "general", pause=0) for server in servers]
        with traffic[0], traffic[1]:
            for wanted in (trained.revision, newer):
                kube.run("kubectl", "annotate", "loraadapter", name, "-n", namespace, f"tuneloop.dev/rollback-to={wanted}", "--overwrite")
                served = kube.until("the swap", lambda: installation.wait_until_swapped(servers, ["general"]) == [wanted], seconds=60)  # noqa: B023
                assert served
    assert [one.failures for one in traffic] == [[], []]
    assert {trained.revision, newer} <= {answer.adapter for one in traffic for answer in one.answers}
    assert installation.lives() == before


def active(installation: Installation) -> str:
    return str(adapter(installation).get("status", {}).get("active", ""))


def _running(installation: Installation, job: str) -> str | None:
    pods = [pod for pod in installation.job_pods(job, "train") if pod["status"]["phase"] == "Running"]
    return pods[0]["metadata"]["name"] if pods else None


def test_a_deleted_job_leaves_nothing(installation: Installation, recorded: Sequence[Question]) -> None:
    namespace = installation.namespace
    kube.apply(finetune_job("dropped", ["general"], installation), namespace=namespace)
    kube.until("a harvest Job", lambda: kube.find("job", "dropped-harvest", namespace=namespace), seconds=30)
    kube.delete("finetunejob", "dropped", namespace=namespace)

    def gone() -> bool:
        return not kube.get("jobs,pods", namespace=namespace, selector="tuneloop.dev/finetunejob=dropped")

    kube.until("its Jobs and pods to go", gone, seconds=60)


@pytest.mark.parametrize("fault", ["truncated", "pickle"])
def test_a_bad_adapter_is_refused_and_the_good_one_serves(installation: Installation, trained: Trained, fault: str) -> None:
    namespace, good = installation.namespace, adapter(installation)
    artifact = good["spec"]["artifact"]
    spoil(installation, artifact["uri"], fault)
    bad = {"uri": artifact["uri"].rsplit("/", 1)[0] + f"/{fault}", "digest": "sha256:" + ("0" if fault == "truncated" else "1") * 64}
    patch = ["kubectl", "patch", "loraadapter", f"{installation.target}-general", "-n", namespace, "--type=merge", "-p"]
    kube.run(*patch, json.dumps({"spec": {"artifact": bad}}))
    try:
        kube.until("Degraded", lambda: kube.is_true(adapter(installation), "Degraded"), seconds=60)
        degraded = adapter(installation)
        assert degraded["status"]["active"] == good["status"]["active"]
        with installation.replicas() as servers:
            answers = {server.ask(Question(f"Still there after {fault}?", ""), model="general", max_tokens=2).adapter for server in servers}
        assert answers == {good["status"]["active"]}
    finally:
        kube.run(*patch, json.dumps({"spec": {"artifact": artifact}}))
    kube.until("the good revision to be all there is", lambda: not kube.is_true(adapter(installation), "Degraded"), seconds=60)


def spoil(installation: Installation, uri: str, fault: str) -> None:
    """A copy of an adapter beside it, broken: written by a pod, since only pods can reach the volume."""
    claim, path = uri.removeprefix("pvc://").split("/", 1)
    source, copy = f"/store/{path}", f"/store/{path.rsplit('/', 1)[0]}/{fault}"
    spoiled = {"truncated": f"truncate -s 100 {copy}/adapter_model.safetensors", "pickle": f"touch {copy}/adapter_model.bin"}[fault]
    deployment = kube.get("deployment", installation.target, namespace=installation.namespace)
    template = deployment["spec"]["template"]["spec"]
    container = {
        "name": "spoil",
        "image": template["containers"][0]["image"],
        "command": ["sh", "-c", f"rm -rf {copy} && cp -r {source} {copy} && {spoiled}"],
        "securityContext": template["containers"][0]["securityContext"],
        "volumeMounts": [{"name": "store", "mountPath": "/store"}],
    }
    volumes = [{"name": "store", "persistentVolumeClaim": {"claimName": claim}}]
    spec = {"restartPolicy": "Never", "securityContext": template["securityContext"], "containers": [container], "volumes": volumes}
    name = f"spoil-{fault}"
    kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}, namespace=installation.namespace)
    try:
        done = "--for=jsonpath={.status.phase}=Succeeded"
        kube.run("kubectl", "wait", f"pod/{name}", "-n", installation.namespace, done, "--timeout=60s")
    finally:
        kube.delete("pod", name, namespace=installation.namespace)


def test_a_new_pod_has_its_adapters_before_it_is_ready(installation: Installation, trained: Trained) -> None:
    active = adapter(installation)["status"]["active"]
    victim = installation.server_pods()[0]["metadata"]["name"]
    kube.run("kubectl", "delete", "pod", victim, "-n", installation.namespace, "--wait=true", timeout=180)
    installation.wait_until_served()
    with installation.replicas() as servers:
        assert {server.ask(Question("Who are you?", ""), model="general", max_tokens=1).adapter for server in servers} == {active}


def test_a_lost_manifest_and_a_wiped_status_come_back(installation: Installation, trained: Trained) -> None:
    namespace, manifest, before = installation.namespace, f"{installation.target}-adapters", adapter(installation)["status"]
    kube.delete("configmap", manifest, namespace=namespace)
    kube.until("the manifest", lambda: kube.find("configmap", manifest, namespace=namespace), seconds=30)
    wipe = ["kubectl", "patch", "loraadapter", f"{installation.target}-general", "-n", namespace, "--subresource=status"]
    kube.run(*wipe, "--type=json", "-p", '[{"op": "remove", "path": "/status"}]')

    def same() -> bool:
        after = adapter(installation).get("status", {})
        return after.get("active") == before["active"] and kube.is_true(adapter(installation), "Ready")

    kube.until("the same revision to serve", same, seconds=60)


def test_a_deployment_without_replicas_is_told_and_heals(installation: Installation, trained: Trained) -> None:
    namespace = installation.namespace
    scale(installation, installation.target, 0)
    try:
        kube.until("NoReplicas", lambda: ready_reason(installation, "NoReplicas"), seconds=NOTICED)
        kube.apply(finetune_job("waits", ["general"], installation), namespace=namespace)
        kube.until("the job to say why it waits", lambda: job_reason(installation, "waits", "NoReplicas"), seconds=NOTICED)
        assert kube.find("job", "waits-harvest", namespace=namespace) is None
        kube.delete("finetunejob", "waits", namespace=namespace)
    finally:
        scale(installation, installation.target, 2)
    installation.wait_until_served()


def job_reason(installation: Installation, job: str, reason: str) -> bool:
    return kube.condition(kube.get("finetunejob", job, namespace=installation.namespace), "Ready").get("reason") == reason


def test_answers_go_on_without_redis_and_the_target_says_so(installation: Installation, trained: Trained) -> None:
    scale(installation, f"{installation.target}-redis", 0)
    try:
        kube.until("RedisUnreachable", lambda: ready_reason(installation, "RedisUnreachable"), seconds=NOTICED)
        with installation.replicas() as servers:
            answer = servers[0].ask(Question("Are you still there without your memory?", ""), model="general", max_tokens=2)
        assert answer.cache in ("miss", "bypass")
    finally:
        scale(installation, f"{installation.target}-redis", 1)
    kube.until("the target to heal", lambda: kube.is_true(target(installation), "Ready"), seconds=HEALS)
