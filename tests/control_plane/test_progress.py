"""The progress receiver, with real tokens: bound to pods by the API server, reviewed by it."""

import resource
from pathlib import Path
from typing import Any

import httpx
import pytest

from control_plane.harness import Operator, Scene, until
from control_plane.reports import harvested
from tuneloop_operator.api.kinds import FINE_TUNE_JOBS, JOBS, PODS

pytestmark = pytest.mark.control_plane


def token(stage: Scene, pod: str, audience: str = "tuneloop") -> str:
    """As the kubelet gets it for a projected volume; without a pod it is one that anybody may ask for."""
    spec: dict[str, Any] = {"audiences": [audience], "expirationSeconds": 3600}
    if pod:
        uid = stage.get(PODS, pod)["metadata"]["uid"]
        spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid}
    answer = stage.api.post(f"/api/v1/namespaces/{stage.namespace}/serviceaccounts/default/token", json={"spec": spec})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["status"]["token"])


def post(operator: Operator, stage: Scene, bearer: str, body: Any, *, job: str = "week-47", what: str = "progress") -> int:
    url = f"http://127.0.0.1:{operator.progress_port}/v1/namespaces/{stage.namespace}/finetunejobs/{job}/{what}"
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    return httpx.post(url, json=body, headers=headers, trust_env=False, timeout=10).status_code


def progress(percent: int, **metrics: str) -> dict[str, Any]:
    values = [{"name": name, "value": value} for name, value in metrics.items()]
    return {
        "trainerStatus": {
            "progressPercentage": percent, "estimatedRemainingSeconds": 212, "lastUpdatedTime": "2026-11-23T12:00:00Z", "metrics": values,
        }
    }  # fmt: skip


@pytest.fixture
def pod(operator: Operator, stage: Scene) -> str:
    """A training pod at work."""
    stage.make_target()
    stage.make_job()
    until(lambda: stage.find(JOBS, "week-47-harvest"))
    stage.end_pod("week-47", "harvest", harvested(support=455))
    until(lambda: stage.find(JOBS, "week-47-train"))
    return stage.run_pod("week-47", "train")


def test_progress_of_the_jobs_own_pod_is_shown(operator: Operator, stage: Scene, pod: str) -> None:
    bearer = token(stage, pod)
    assert post(operator, stage, bearer, progress(43, stage="Training", loss="1.83", tokens_per_second="131")) == 204
    shown = until(lambda: stage.get(FINE_TUNE_JOBS, "week-47")["status"].get("progress"))
    assert {**shown, "updatedAt": ""} == {
        "percent": 43, "estimatedRemainingSeconds": 212, "loss": "1.83", "tokensPerSecond": "131", "updatedAt": "",
    }  # fmt: skip
    assert post(operator, stage, bearer, progress(99, stage="Evaluating")) == 204
    until(lambda: stage.stage("week-47") == "Evaluating", 5)
    assert post(operator, stage, bearer, progress(99, stage="Training", waiting="StoreUnavailable")) == 204
    until(lambda: stage.condition(FINE_TUNE_JOBS, "week-47", "Ready")[1] == "StoreUnavailable", 5)
    assert post(operator, stage, bearer, progress(99, stage="Training")) == 204
    until(lambda: stage.condition(FINE_TUNE_JOBS, "week-47", "Ready")[1] == "Training", 5)


def test_a_whole_report_comes_over_http(operator: Operator, stage: Scene) -> None:
    stage.make_target()
    stage.make_job()
    until(lambda: stage.find(JOBS, "week-47-harvest"))
    bearer = token(stage, stage.run_pod("week-47", "harvest"))
    assert post(operator, stage, bearer, harvested(support=455).to_wire(), what="report") == 204
    stage.end_pod("week-47", "harvest")  # without a termination message
    until(lambda: stage.find(JOBS, "week-47-train"))


def test_whoever_is_not_a_pod_of_the_job_is_turned_away(operator: Operator, stage: Scene, pod: str) -> None:
    labels = {"tuneloop.dev/finetunejob": "week-47", "tuneloop.dev/step": "train"}
    stage.create(PODS, "impostor", {"containers": [{"name": "x", "image": "x"}]}, metadata={"labels": labels})
    body, good = progress(1), token(stage, pod)
    assert post(operator, stage, "", body) == 401
    assert post(operator, stage, "nonsense", body) == 401
    assert post(operator, stage, token(stage, pod, "https://kubernetes.default.svc"), body) == 401
    assert post(operator, stage, token(stage, ""), body) == 401
    assert post(operator, stage, token(stage, "impostor"), body) == 401
    assert post(operator, stage, good, body, job="week-48") == 403
    assert post(operator, stage, good, {"trainerStatus": "?"}) == 400
    assert post(operator, stage, good, progress(1, loss="x" * 2_000_000)) == 413
    assert post(operator, stage, good, body, what="elsewhere") == 404
    assert stage.get(FINE_TUNE_JOBS, "week-47")["status"].get("progress") is None
    assert good not in operator.log()


def test_probes_metrics_and_memory(operator: Operator, stage: Scene, pod: str) -> None:
    base = f"http://127.0.0.1:{operator.probes_port}"
    assert httpx.get(f"{base}/healthz", trust_env=False).text == "ok\n"
    shown = httpx.get(f"{base}/metrics", trust_env=False).text
    assert 'tuneloop_reconciles_total{kind="FineTuneJob",outcome="ok"}' in shown
    assert 'tuneloop_finetunejobs{stage="Training"}' in until(lambda: httpx.get(f"{base}/metrics", trust_env=False).text)
    assert "tuneloop_queue_depth" in shown
    pages = int(Path(f"/proc/{operator.pid}/statm").read_text().split()[1])
    assert pages * resource.getpagesize() / 2**20 < 128
