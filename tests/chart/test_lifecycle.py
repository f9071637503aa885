"""Install, upgrade, uninstall, install again: on an API server that has never seen our kinds."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from chart.rendering import CHART, NAMESPACE, QUICKSTART, RELEASE, Manifest, helm, named, render
from control_plane.process import ControlPlane, control_plane
from waiting import wait_until

pytestmark = pytest.mark.control_plane
TARGET = "chat-llm"


@pytest.fixture(scope="module")
def bare() -> Iterator[ControlPlane]:
    with control_plane() as running:
        running.kubectl("create", "namespace", NAMESPACE)
        yield running


@pytest.fixture(autouse=True)
def nothing_left_behind(bare: ControlPlane) -> Iterator[None]:
    yield
    helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--no-hooks", plane=bare)
    bare.kubectl("delete", "crd", "--all")
    bare.kubectl("delete", "secrets,pvc", "--all", "--namespace", NAMESPACE)


def release(verb: str, plane: ControlPlane, *settings: str, chart: Path = CHART) -> str:
    """install, upgrade or uninstall, without the hook: there is no node to run its pod on."""
    source = () if verb == "uninstall" else (str(chart),)
    done = helm(verb, RELEASE, *source, "--namespace", NAMESPACE, "--no-hooks", plane=plane, settings=settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def get(plane: ControlPlane, kind: str, name: str) -> Manifest:
    return dict(json.loads(plane.kubectl("get", kind, name, "--namespace", NAMESPACE, "-o", "json").stdout))


def names(plane: ControlPlane, kinds: str, *selector: str) -> list[str]:
    return plane.kubectl("get", kinds, "--namespace", NAMESPACE, "-o", "name", *selector).stdout.split()


def hook(plane: ControlPlane, folder: Path, *, account: bool) -> "subprocess.Popen[str]":
    """What the hook's pod runs; with its service account's token, or where that does not exist yet as an administrator."""
    config = yaml.safe_load(plane.kubeconfig.read_text())
    if account:
        token = plane.kubectl("create", "token", f"{TARGET}-target", "--namespace", NAMESPACE).stdout.strip()
        config["users"][0]["user"] = {"token": token}
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    target = named(render(QUICKSTART), "ConfigMap", f"{TARGET}-target")
    for name, text in target["data"].items():
        (folder / name).write_text(text)
    return subprocess.Popen(
        [sys.executable, folder / "apply.py", folder / "target.yaml"],
        env=os.environ | {"KUBECONFIG": str(folder / "kubeconfig")}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]") -> str:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output


def test_the_hook_waits_for_a_kind_that_its_own_release_brings(bare: ControlPlane, tmp_path: Path) -> None:
    early = hook(bare, tmp_path, account=False)
    release("install", bare, QUICKSTART)
    assert finish(early) == f"InferenceTarget {NAMESPACE}/{TARGET} applied\n"


def test_a_target_comes_and_goes_with_its_deployment(bare: ControlPlane, tmp_path: Path) -> None:
    release("install", bare, QUICKSTART)
    for _ in range(2):  # an upgrade runs it again
        finish(hook(bare, tmp_path, account=True))
    target, deployment = get(bare, "inferencetarget", TARGET), get(bare, "deployment", TARGET)
    assert [owner["uid"] for owner in target["metadata"]["ownerReferences"]] == [deployment["metadata"]["uid"]]
    assert target["metadata"]["generation"] == 1

    release("upgrade", bare, "quickstart.enabled=false")
    wait_until(lambda: not names(bare, "inferencetargets"), "the target is gone", 60, every=0.1)


def test_an_upgrade_keeps_the_password_and_brings_the_settings(bare: ControlPlane) -> None:
    release("install", bare, QUICKSTART)
    before = get(bare, "secret", f"{TARGET}-redis")
    release("upgrade", bare, QUICKSTART, "settings.loraRank=8")
    after, operator = get(bare, "secret", f"{TARGET}-redis"), get(bare, "deployment", f"{RELEASE}-operator")
    assert after["data"] == before["data"]
    assert {"name": "LORA_RANK", "value": "8"} in operator["spec"]["template"]["spec"]["containers"][0]["env"]


def test_an_upgrade_leaves_the_replicas_to_whoever_scales_them(bare: ControlPlane) -> None:
    """Helm 4 applies on the server, and refuses what another manager has set."""
    release("install", bare, QUICKSTART, "quickstart.replicas=null")
    bare.kubectl("scale", f"deployment/{TARGET}", "--replicas=5", "--namespace", NAMESPACE)
    release("upgrade", bare, QUICKSTART, "quickstart.replicas=null", "settings.loraRank=8")
    assert get(bare, "deployment", TARGET)["spec"]["replicas"] == 5


def test_an_upgrade_brings_a_changed_crd(bare: ControlPlane, tmp_path: Path) -> None:
    older = tmp_path / "tuneloop"
    shutil.copytree(CHART, older)
    file = older / "files" / "crds" / "finetunejobs.yaml"
    crd = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(crd | {"spec": crd["spec"] | {"names": crd["spec"]["names"] | {"shortNames": ["old"]}}}))
    release("install", bare, chart=older)
    assert get(bare, "crd", crd["metadata"]["name"])["spec"]["names"]["shortNames"] == ["old"]
    release("upgrade", bare)
    assert get(bare, "crd", crd["metadata"]["name"])["spec"]["names"]["shortNames"] == crd["spec"]["names"]["shortNames"]


def test_uninstalling_keeps_what_people_made(bare: ControlPlane, tmp_path: Path) -> None:
    release("install", bare, QUICKSTART)
    finish(hook(bare, tmp_path, account=True))
    job = {
        "apiVersion": "tuneloop.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": "week-47"},
        "spec": {"targetRef": {"name": TARGET}},
    }
    bare.kubectl("create", "--namespace", NAMESPACE, "-f", "-", text=json.dumps(job))
    kept = release("uninstall", bare)
    assert "finetunejobs.tuneloop.dev" in kept
    wait_until(lambda: not names(bare, "inferencetargets"), "the target is gone with its Deployment", 60, every=0.1)
    assert get(bare, "finetunejob", "week-47")

    everything = "deployments,services,secrets,jobs,networkpolicies,pdb,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings"
    assert names(bare, everything, "-l", "app.kubernetes.io/part-of=tuneloop") == []

    release("install", bare, QUICKSTART)  # and the kept CRDs are taken over
    assert get(bare, "finetunejob", "week-47")


def test_uninstalling_without_keep_leaves_nothing(bare: ControlPlane, tmp_path: Path) -> None:
    release("install", bare, QUICKSTART, "crds.keep=false")
    finish(hook(bare, tmp_path, account=True))
    release("uninstall", bare)
    wait_until(lambda: not names(bare, "crd"), "the CRDs are gone, with every object", 60, every=0.1)
