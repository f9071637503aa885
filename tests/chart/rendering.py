"""The chart as Helm sees it: rendered to manifests, or installed on an API server."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from control_plane.process import ControlPlane

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "tuneloop"
RELEASE = "tuneloop"
NAMESPACE = "demo"
QUICKSTART = "quickstart.enabled=true"

Manifest = dict[str, Any]


@cache
def binaries() -> Path:
    """The folder with helm in it; built once and cached."""
    return Path(subprocess.check_output([ROOT / "tests/cluster/build.sh"], text=True).strip())


def helm(*words: str, plane: ControlPlane | None = None, settings: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
    """`settings` as in --set. Without `plane` it meets no API server."""
    environment = os.environ | {"KUBECONFIG": str(plane.kubeconfig) if plane else os.devnull}
    command = [binaries() / "helm", *words, *(word for setting in settings for word in ("--set", setting))]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)


def try_to_render(*settings: str) -> "subprocess.CompletedProcess[str]":
    # without a cluster Helm has to be told which Kubernetes it renders for
    return helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", "1.34", settings=settings)


def render(*settings: str) -> list[Manifest]:
    done = try_to_render(*settings)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def of_kind(manifests: Sequence[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def named(manifests: Sequence[Manifest], kind: str, name: str) -> Manifest:
    return next(manifest for manifest in of_kind(manifests, kind) if manifest["metadata"]["name"] == name)


def pod_templates(manifests: Sequence[Manifest]) -> dict[str, Manifest]:
    """By name of the Deployment or Job."""
    return {owner["metadata"]["name"]: owner["spec"]["template"] for owner in of_kind(manifests, "Deployment", "Job")}


def container(manifests: Sequence[Manifest], name: str) -> Manifest:
    """The one container of a Deployment or Job."""
    (only,) = pod_templates(manifests)[name]["spec"]["containers"]
    return dict(only)


def environment(manifests: Sequence[Manifest], name: str) -> dict[str, str]:
    """The plain variables of the container of a Deployment or Job."""
    return {entry["name"]: entry["value"] for entry in container(manifests, name)["env"] if "value" in entry}


def as_list(manifests: Sequence[Manifest]) -> str:
    """For kubectl's stdin."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})


@contextmanager
def installed(plane: ControlPlane, namespace: str, *settings: str, name: str = "") -> Iterator[None]:
    """The chart in a namespace of its own, the release called like that unless it has a name; without the hook, which needs a node."""
    release = (name or namespace, "--namespace", namespace, "--no-hooks")
    done = helm("install", *release, str(CHART), "--create-namespace", plane=plane, settings=settings)
    assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        gone = helm("uninstall", *release, plane=plane)
        plane.kubectl("delete", "namespace", namespace, "--wait=false")
        assert gone.returncode == 0, gone.stderr
