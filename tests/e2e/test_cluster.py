"""The cluster can do what the other tests here take for granted; when one of these fails, look at the cluster before the product."""

import json
import os
import urllib.request
from collections.abc import Iterator

import pytest

from tuneloop_demo import kube

NAMESPACE = "tuneloop-e2e-cluster"
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "fsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONFINED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
SERVE = "echo serving; cd /tmp && echo hello >index.html && exec python -m http.server 8000"
FETCH = "import sys, ssl; from urllib.request import urlopen; print(urlopen(sys.argv[1], context=ssl._create_unverified_context()).read())"


def pod(name: str, script: str, **spec: object) -> kube.Manifest:
    container = {
        "name": "main",
        "image": f"{os.environ['TUNELOOP_REGISTRY']}/tuneloop-operator:{os.environ['TUNELOOP_TAG']}",
        "command": ["sh", "-c", script],
        "securityContext": CONFINED,
        "resources": {"limits": {"memory": "96Mi"}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "data", "mountPath": "/data"}],
    }
    volumes = [{"name": "tmp", "emptyDir": {}}, {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    shape = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "securityContext": RESTRICTED,
        "containers": [container],
        "volumes": volumes,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": shape | spec}


def ended(name: str) -> kube.Manifest | None:
    found = kube.get("pod", name, namespace=NAMESPACE)
    return found if found["status"]["phase"] in ("Succeeded", "Failed") else None


def logs_of_run(name: str, script: str) -> str:
    """What the script printed, in a pod of its own that has to succeed."""
    kube.apply(pod(name, script), namespace=NAMESPACE)
    last = kube.until(f"the end of {name}", lambda: ended(name), seconds=120)
    logs = kube.run("kubectl", "logs", name, "-n", NAMESPACE)
    assert last["status"]["phase"] == "Succeeded", logs
    return logs


def main_container(name: str) -> kube.Manifest:
    statuses = kube.get("pod", name, namespace=NAMESPACE)["status"].get("containerStatuses", [{}])
    return statuses[0]  # type: ignore[no-any-return]


@pytest.fixture(scope="module", autouse=True)
def _namespace() -> Iterator[None]:
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}, namespace=NAMESPACE)
    kube.until("the default service account", lambda: kube.find("serviceaccount", "default", namespace=NAMESPACE), seconds=30)
    volume = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim}
    kube.apply(volume, namespace=NAMESPACE)
    yield
    kube.run("kubectl", "delete", "namespace", NAMESPACE, "--timeout=120s", timeout=150)


@pytest.fixture(scope="module")
def web() -> str:
    """A pod that serves a page, behind a Service of the same name."""
    ports = [{"port": 80, "targetPort": 8000}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
    kube.apply(service, pod("web", SERVE), namespace=NAMESPACE)
    kube.run("kubectl", "wait", "pod/web", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=120s", timeout=150)
    return "web"


def test_every_node_is_ready() -> None:
    nodes = json.loads(kube.run("kubectl", "get", "nodes", "-o", "json"))["items"]
    assert nodes
    assert all(kube.is_true(node, "Ready") for node in nodes)


def test_pods_find_each_other_and_the_api_server_by_name(web: str) -> None:
    page, version = f"http://{web}.{NAMESPACE}/", "https://kubernetes.default.svc/version"
    said = logs_of_run("asks", f'for i in 1 2 3 4 5; do python -c "{FETCH}" {page} && break; sleep 1; done; python -c "{FETCH}" {version}')
    assert "hello" in said
    assert "gitVersion" in said


def test_two_pods_share_a_volume_as_a_user_who_is_not_root() -> None:
    logs_of_run("writes", "mkdir /data/deep && echo kept >/data/deep/file")
    assert logs_of_run("reads", "cat /data/deep/file; id -u") == "kept\n65532\n"


def test_exec_logs_and_port_forward(web: str) -> None:
    assert kube.run("kubectl", "exec", web, "-n", NAMESPACE, "--", "cat", "/tmp/index.html") == "hello\n"
    assert kube.run("kubectl", "logs", web, "-n", NAMESPACE).startswith("serving")
    with kube.port_forward(web, 8000, namespace=NAMESPACE) as url, urllib.request.urlopen(url, timeout=10) as page:
        assert page.read() == b"hello\n"


def test_a_killed_container_is_started_again() -> None:
    script = "echo $$$$ >/tmp/pid; exec sleep infinity"  # Kubernetes makes $$ of it; and it is not process 1, which nothing inside can kill
    kube.apply(pod("killed", script, restartPolicy="Always", shareProcessNamespace=True), namespace=NAMESPACE)
    kube.run("kubectl", "wait", "pod/killed", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=60s")
    kube.run("kubectl", "exec", "killed", "-n", NAMESPACE, "--", "sh", "-c", "kill -9 $(cat /tmp/pid)")
    kube.until("a restart", lambda: main_container("killed")["restartCount"] == 1 and main_container("killed")["ready"], seconds=60)
    assert main_container("killed")["lastState"]["terminated"]["exitCode"] == 137


def test_a_container_over_its_memory_limit_is_reported_as_such() -> None:
    kube.apply(pod("greedy", "exec python -c 'bytearray(300_000_000)'"), namespace=NAMESPACE)
    kube.until("its end", lambda: ended("greedy"), seconds=60)
    terminated = main_container("greedy")["state"]["terminated"]
    assert (terminated["reason"], terminated["exitCode"]) == ("OOMKilled", 137)
