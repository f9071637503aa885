"""Every example is accepted by a real API server that has our CRDs and enforces the `restricted` level."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from chart.rendering import ROOT, Manifest, as_list, of_kind, pod_templates
from control_plane.process import ControlPlane
from tuneloop_contracts.names import manifest_configmap
from tuneloop_contracts.pods import STATUS_PORT, STATUS_PORT_NAME
from tuneloop_contracts.stores import Store, mount_path

EXAMPLES = ROOT / "examples"
FILES = sorted(file for file in EXAMPLES.rglob("*.yaml") if file.name != "kustomization.yaml")
ADOPT = sorted(file for file in FILES if file.parent.name == "adopt")


@pytest.fixture(scope="module")
def chat(plane: ControlPlane) -> Iterator[ControlPlane]:
    plane.kubectl("create", "namespace", "chat")
    plane.kubectl("label", "namespace", "chat", "pod-security.kubernetes.io/enforce=restricted")
    yield plane
    plane.kubectl("delete", "namespace", "chat", "--wait=false")


def read(*files: Path) -> list[Manifest]:
    return [manifest for file in files for manifest in yaml.safe_load_all(file.read_text()) if manifest]


def test_there_are_examples_of_every_kind() -> None:
    assert {manifest["kind"] for manifest in read(*FILES)} >= {"InferenceTarget", "FineTuneJob", "LoRAAdapter", "Deployment", "Secret"}


@pytest.mark.control_plane
@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(EXAMPLES)))
def test_an_example_is_accepted(chat: ControlPlane, file: Path) -> None:
    chat.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(file))


@pytest.mark.control_plane
@pytest.mark.parametrize("folder", ["adopt", "gitops"])
def test_a_kustomization_is_accepted(chat: ControlPlane, folder: str) -> None:
    made = chat.kubectl("apply", "--dry-run=server", "-k", str(EXAMPLES / folder), "-o", "name").stdout.split()
    assert "inferencetarget.tuneloop.dev/chat-llm" in made


@pytest.mark.control_plane
def test_the_adopted_pods_pass_the_restricted_level(chat: ControlPlane) -> None:
    chat.kubectl("apply", "-f", str(EXAMPLES / "adopt" / "rbac.yaml"))
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "chat"}, "spec": template["spec"]}
        for name, template in pod_templates(read(*ADOPT)).items()
    ]
    assert pods
    chat.kubectl("create", "--dry-run=server", "-f", "-", text=as_list(pods))


@pytest.mark.control_plane
def test_a_typo_in_a_job_is_refused_naming_it(chat: ControlPlane) -> None:
    """Else the tests above would say nothing."""
    (job,) = read(EXAMPLES / "finetunejob.yaml")
    job["spec"]["lora"] = {"rnak": 8}
    refused = chat.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", text=json.dumps(job), check=False)
    assert "spec.lora.rnak" in refused.stderr


def test_the_adopted_deployment_keeps_the_servers_contract() -> None:
    manifests = read(*ADOPT)
    (target,), (deployment,) = of_kind(manifests, "InferenceTarget"), of_kind(manifests, "Deployment")
    (server,) = deployment["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry.get("value") for entry in server["env"]}
    claim = Store(target["spec"]["artifacts"]["adapters"]["uri"]).claim
    (role,) = of_kind(manifests, "Role")

    assert target["spec"]["deploymentRef"]["name"] == deployment["metadata"]["name"]
    assert env["TUNELOOP_TARGET"] == f"{target['metadata']['namespace']}/{target['metadata']['name']}"
    assert env["MODEL_NAME"] == target["spec"]["baseModel"]["name"]
    assert {"name": STATUS_PORT_NAME, "containerPort": STATUS_PORT} in server["ports"]
    assert mount_path(claim) in {mount["mountPath"] for mount in server["volumeMounts"] if mount.get("readOnly")}
    assert role["rules"][0]["resourceNames"] == [manifest_configmap(target["metadata"]["name"])]
