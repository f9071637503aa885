"""The loop closes on a real node: traffic in, an adapter serving, no pod restarted, no request lost."""

import base64
import re
from collections.abc import Sequence

import httpx

from builders_e2e import Trained, finetune_job
from tuneloop_demo import kube, scenario
from tuneloop_demo.installation import Installation
from tuneloop_demo.questions import Question


def test_traffic_becomes_an_adapter(installation: Installation, trained: Trained) -> None:
    assert [traffic.failures for traffic in trained.traffic] == [[], []]
    assert trained.traffic[0].answers[0].adapter == "base"
    assert {traffic.answers[-1].adapter for traffic in trained.traffic} == {trained.revision}
    assert trained.lives_after == trained.lives_before

    status = trained.job["status"]
    domain = status["dataset"]["domains"][0]
    assert domain["train"] + domain["heldOut"] + domain["timeForward"] >= 50
    loss = status["adapters"][0]["loss"]
    assert float(loss["candidate"]) < float(loss["base"])
    adapter = kube.get("loraadapter", f"{installation.target}-general", namespace=installation.namespace)
    assert adapter["status"]["active"] == trained.revision
    assert kube.is_true(adapter, "Ready")


def test_every_name_of_the_model_answers(installation: Installation, trained: Trained) -> None:
    revision, question = trained.revision, Question("Who painted the Mona Lisa?", "")
    want = {"smollm2-135m-instruct": "base", "auto": revision, "general": revision, revision: revision, "legal": "base"}
    with installation.replicas() as servers:
        for server in servers:
            assert {model: server.ask(question, model=model, max_tokens=2).adapter for model in want} == want
            listed = {model["id"] for model in httpx.get(f"{server.url}/v1/models", timeout=30).json()["data"]}
            assert set(want) <= listed
            body = {"model": "gpt-4", "messages": [{"role": "user", "content": "hi"}]}
            unknown = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=30)
            assert (unknown.status_code, unknown.json()["error"]["type"]) == (404, "invalid_request_error")


def test_too_little_data_never_trains(installation: Installation, recorded: Sequence[Question]) -> None:
    job, _ = installation.train(finetune_job("short", ["legal"], installation))
    scenario.expect_insufficient(job, installation)
    assert "legal" in kube.condition(job, "Complete")["message"]
    assert kube.find("job", "short-train", namespace=installation.namespace) is None


def test_collect_only_stops_before_the_training(installation: Installation, recorded: Sequence[Question]) -> None:
    job, _ = installation.train(finetune_job("collected", ["general"], installation, collectOnly=True))
    assert kube.condition(job, "Complete")["reason"] == "Collected"
    assert job["status"]["dataset"]["digest"].startswith("sha256:")
    assert kube.find("job", "collected-train", namespace=installation.namespace) is None


def test_no_secret_and_no_prompt_leaves_the_data(installation: Installation, trained: Trained) -> None:
    """Not in logs, events, statuses or annotations."""
    namespace = installation.namespace
    url = kube.run("kubectl", "get", "secret", "-n", namespace, "-o", "jsonpath={.items[*].data.url}").split()
    assert url
    passwords = [match[1] for text in url if (match := re.search(r":([^:@/]+)@", base64.b64decode(text).decode()))]
    assert passwords
    pods = [pod["metadata"]["name"] for pod in kube.get("pods", namespace=namespace)]
    seen = [kube.run("kubectl", "logs", "-n", namespace, pod, "--all-containers", "--tail=-1") for pod in pods]
    seen += [kube.run("kubectl", "get", kind, "-n", namespace, "-o", "json") for kind in ("events", "itgt,ftj,lora,jobs,configmaps")]
    for text in seen:
        assert not [password for password in passwords if password in text]
        assert "first artificial Earth satellite" not in text
