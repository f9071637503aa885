"""What the tests of the running operator share: the operator's own process, objects, and the hand of a kubelet."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from control_plane.process import ROOT, ControlPlane
from control_plane.server_pod import ServerPod
from ports import free_port
from tuneloop_contracts.names import JOB_LABEL
from tuneloop_contracts.progress import Report
from tuneloop_operator.api.kinds import ADAPTERS, CLAIMS, CONFIG_MAPS, DEPLOYMENTS, FINE_TUNE_JOBS, JOBS, PODS, TARGETS, Kind

T = TypeVar("T")
Object = dict[str, Any]
TARGET = "chat-llm"
QUOTAS = Kind("", "v1", "ResourceQuota", "resourcequotas")


def until(look: Callable[[], T], seconds: float = 30) -> T:
    """The first truthy answer; a failed assertion counts as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := look():
                return found
            said = "nothing"
        except AssertionError as error:
            said = str(error)
        assert time.monotonic() < deadline, f"after {seconds} s: {said}"
        time.sleep(0.05)


class Operator:
    """`python -m tuneloop_operator` as a process of its own, which a test may kill."""

    def __init__(self, plane: ControlPlane, log: Path, **environment: str) -> None:
        self.progress_port, self.probes_port = free_port(), free_port()
        self._log = log
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}/contracts:{ROOT}/operator",
            "KUBECONFIG": str(plane.kubeconfig),
            "HARVEST_IMAGE": "harvest:1",
            "TRAINER_IMAGE": "trainer:1",
            "PROGRESS_URL": f"http://127.0.0.1:{self.progress_port}",
            "PROGRESS_PORT": str(self.progress_port),
            "PROBES_PORT": str(self.probes_port),
            "AUTO_TRAINING_INTERVAL": "",
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tuneloop_operator"], env=self._environment, stdout=log, stderr=log, cwd=ROOT
            )

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def log(self) -> str:
        return self._log.read_text()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait(self, seconds: float) -> int:
        """The exit code, when it ends by itself."""
        assert self._process
        return self._process.wait(seconds)

    def kill(self) -> None:
        """As a node that dies: no chance to say goodbye."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def stop(self, seconds: float = 20) -> int:
        """As Kubernetes does: SIGTERM. Returns the exit code."""
        assert self._process
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)


@dataclass
class Scene:
    """A namespace, and what a test does in it."""

    api: httpx.Client
    namespace: str
    pods: list[ServerPod] = field(default_factory=list)

    def elsewhere(self, namespace: str) -> "Scene":
        """The same hands in another namespace."""
        return Scene(self.api, namespace)

    def find(self, kind: Kind, name: str) -> Object | None:
        answer = self.api.get(kind.path(self.namespace, name))
        return answer.json() if answer.status_code == 200 else None

    def get(self, kind: Kind, name: str) -> Object:
        found = self.find(kind, name)
        assert found is not None, f"there is no {kind.name} {name}"
        return found

    def list(self, kind: Kind, labels: str = "") -> list[Object]:
        return list(self.api.get(kind.path(self.namespace), params={"labelSelector": labels}).json()["items"])

    def create(self, kind: Kind, name: str, spec: Object, **more: Any) -> Object:
        meta = {"name": name, **more.pop("metadata", {})}
        body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta, "spec": spec, **more}
        answer = self.api.post(kind.path(self.namespace), json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def patch(self, kind: Kind, name: str, change: Object, subresource: str = "") -> Object:
        headers = {"Content-Type": "application/merge-patch+json"}
        answer = self.api.patch(kind.path(self.namespace, name, subresource), content=json.dumps(change), headers=headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def delete(self, kind: Kind, name: str) -> None:
        self.api.delete(kind.path(self.namespace, name), params={"propagationPolicy": "Background"})

    def condition(self, kind: Kind, name: str, type_: str) -> tuple[str, str, str]:
        """Status, reason and message."""
        said = {c["type"]: c for c in self.get(kind, name).get("status", {}).get("conditions", [])}
        assert type_ in said, f"{kind.name} {name} says nothing of {type_}"
        return said[type_]["status"], said[type_]["reason"], said[type_]["message"]

    def stage(self, job: str) -> str:
        return str(self.get(FINE_TUNE_JOBS, job).get("status", {}).get("stage", ""))

    def manifest(self) -> Object:
        return dict(json.loads(self.get(CONFIG_MAPS, f"{TARGET}-adapters")["data"]["manifest.json"]))

    # what a cluster operator does

    def make_target(self, replicas: int = 2, **spec: Any) -> None:
        """A Deployment with ready pods that serve, a claim, and the InferenceTarget."""
        self.create(CLAIMS, "artifacts", {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}})
        self.make_deployment(replicas)
        self.create(TARGETS, TARGET, target_spec(**spec))

    def make_deployment(self, replicas: int = 2) -> None:
        self.create(DEPLOYMENTS, TARGET, deployment_spec(replicas))
        for number in range(replicas):
            self.make_server_pod(f"{TARGET}-{number}", self.pods[number].port)

    def make_server_pod(self, name: str, port: int) -> None:
        container = {"name": "server", "image": "server:1", "ports": [{"name": "tuneloop-status", "containerPort": port}]}
        self.create(PODS, name, {"containers": [container]}, metadata={"labels": {"app": TARGET}})
        ready = {"type": "Ready", "status": "True"}
        self.patch(PODS, name, {"status": {"phase": "Running", "podIP": "127.0.0.1", "conditions": [ready]}}, "status")

    def make_job(self, name: str = "week-47", **spec: Any) -> None:
        self.create(FINE_TUNE_JOBS, name, {"targetRef": {"name": TARGET}, **spec})

    def fill_quota(self, what: str) -> None:
        """One more of it is refused, until the quota `full` is deleted. What is used is for the quota controller to say."""
        full = {"hard": {what: "0"}}
        self.create(QUOTAS, "full", full)
        self.patch(QUOTAS, "full", {"status": full | {"used": {what: "0"}}}, "status")

    # what a kubelet does

    def pod_of(self, job: str, step: str, index: int | None = None) -> Object:
        """The newest pod of a step that has not ended; `index`: of an Indexed Job's, this one."""
        numbered = "" if index is None else f",batch.kubernetes.io/job-completion-index={index}"

        def look() -> Object | None:
            pods = self.list(PODS, f"{JOB_LABEL}={job},tuneloop.dev/step={step}{numbered}")
            alive = [pod for pod in pods if pod.get("status", {}).get("phase") in ("Pending", "Running")]
            return alive[-1] if alive else None

        return until(look)

    def bind(self, pod: str, node: str) -> None:
        """What a scheduler does."""
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": {"kind": "Node", "name": node}}
        answer = self.api.post(PODS.path(self.namespace, pod, "binding"), json=body)
        assert answer.status_code == 201, answer.text

    def run_pod(self, job: str, step: str) -> str:
        name = str(self.pod_of(job, step)["metadata"]["name"])
        self.patch(PODS, name, {"status": {"phase": "Running"}}, "status")
        return name

    def end_pod(
        self, job: str, step: str, report: Report | None = None, *, code: int = 0, reason: str = "", index: int | None = None
    ) -> None:
        name = str(self.pod_of(job, step, index)["metadata"]["name"])
        ended = {"exitCode": code, "reason": reason or ("Completed" if code == 0 else "Error")}
        if report:
            ended["message"] = report.to_termination_message()
        status = {"name": step, "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": {"terminated": ended}}
        phase = "Succeeded" if code == 0 else "Failed"
        self.patch(PODS, name, {"status": {"phase": phase, "containerStatuses": [status]}}, "status")


def target_spec(**spec: Any) -> Object:
    return {
        "deploymentRef": {"name": TARGET},
        "baseModel": {"name": "smollm2", "uri": "file:///models/smollm2"},
        "redis": {"secretRef": {"name": "chat-redis"}},
        "artifacts": {"adapters": {"uri": "pvc://artifacts/chat"}},
        **spec,
    }


def deployment_spec(replicas: int) -> Object:
    mount = {"name": "artifacts", "mountPath": "/var/lib/tuneloop/stores/artifacts", "readOnly": True}
    pod = {
        "containers": [{"name": "server", "image": "server:1", "volumeMounts": [mount]}],
        "volumes": [{"name": "artifacts", "persistentVolumeClaim": {"claimName": "artifacts", "readOnly": True}}],
    }
    labels = {"app": TARGET}
    return {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}


@contextlib.contextmanager
def scene(plane: ControlPlane, namespace: str) -> Iterator[Scene]:
    """With two server pods at hand."""
    with plane.api() as api, contextlib.ExitStack() as stack:
        pods = [stack.enter_context(ServerPod(api, namespace, TARGET)) for _ in range(2)]
        yield Scene(api, namespace, pods)


ALL_OF_OURS = (TARGETS, FINE_TUNE_JOBS, ADAPTERS, JOBS, CONFIG_MAPS)
