"""Every pod the chart makes, and every one it lets the operator's Jobs be, against a namespace that enforces `restricted`."""

import json

import pytest

from chart.rendering import NAMESPACE, Manifest, as_list, helm, pod_templates
from control_plane.process import ControlPlane

pytestmark = pytest.mark.control_plane


def pods(plane: ControlPlane) -> list[Manifest]:
    """Of the installed release, its hook included."""
    found = json.loads(plane.kubectl("get", "deployments", "--namespace", NAMESPACE, "-o", "json").stdout)["items"]
    hooks = plane.kubectl("create", "--dry-run=client", "-f", "-", "-o", "json", text=hook_text(plane)).stdout
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE, "labels": template["metadata"]["labels"]},
         "spec": template["spec"]}
        for name, template in pod_templates([*found, json.loads(hooks)]).items()
    ]  # fmt: skip


def hook_text(plane: ControlPlane) -> str:
    done = helm("get", "hooks", NAMESPACE, "--namespace", NAMESPACE, plane=plane)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_pod_passes_the_restricted_level(plane: ControlPlane) -> None:
    made = pods(plane)
    assert {pod["metadata"]["name"] for pod in made} == {f"{NAMESPACE}-tuneloop-operator", "chat-llm", "chat-llm-redis", "chat-llm-target"}
    plane.kubectl("create", "--dry-run=server", "-f", "-", text=as_list(made))


@pytest.mark.parametrize("weakness", [{"allowPrivilegeEscalation": True}, {"runAsUser": 0}, {"capabilities": {}}])
def test_a_weaker_pod_would_be_refused(plane: ControlPlane, weakness: Manifest) -> None:
    """Else the test above would say nothing."""
    for pod in pods(plane):
        pod["spec"]["containers"][0]["securityContext"] |= weakness
        refused = plane.kubectl("create", "--dry-run=server", "-f", "-", text=json.dumps(pod), check=False)
        assert "violates PodSecurity" in refused.stderr, pod["metadata"]["name"]


def test_nobody_writes_to_the_root_and_no_token_is_given_away(plane: ControlPlane) -> None:
    with_token = set()
    for pod in pods(plane):
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert container["resources"]["limits"]["memory"]
        if pod["spec"]["automountServiceAccountToken"]:
            with_token.add(pod["metadata"]["name"])
    assert with_token == {f"{NAMESPACE}-tuneloop-operator", "chat-llm", "chat-llm-target"}


def test_there_is_one_operator_at_a_time(plane: ControlPlane) -> None:
    name = f"{NAMESPACE}-tuneloop-operator"
    spec = json.loads(plane.kubectl("get", "deployment", name, "--namespace", NAMESPACE, "-o", "json").stdout)["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
    assert spec["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "256Mi"
