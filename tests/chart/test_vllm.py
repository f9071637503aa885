"""The quickstart with `engine: vllm`: what the two containers of a pod agree on, and what the cluster allows them."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from chart.rendering import CHART, NAMESPACE, QUICKSTART, Manifest, as_list, container, environment, pod_templates, render, try_to_render
from control_plane.process import ControlPlane
from tuneloop_server.settings import ENGINES, VLLM_RANKS, Settings

SERVER = "chat-llm"
VLLM = (QUICKSTART, "quickstart.engine=vllm", "quickstart.vllm.image=example.com/vllm:v1")


def sidecar(manifests: list[Manifest]) -> Manifest:
    _, vllm = pod_templates(manifests)[SERVER]["spec"]["initContainers"]
    return dict(vllm)


def arguments(vllm: Manifest) -> dict[str, str]:
    """Of vLLM's server, by name; those without a value are empty."""
    return {name: value for name, _, value in (word.partition("=") for word in vllm["command"][3:])}


def mounts(one: Manifest) -> dict[str, tuple[str, bool]]:
    """(path, read-only) by volume."""
    return {mount["name"]: (mount["mountPath"], mount.get("readOnly", False)) for mount in one["volumeMounts"]}


def test_without_it_there_is_no_second_container() -> None:
    manifests = render(QUICKSTART)
    assert "initContainers" not in pod_templates(manifests)[SERVER]["spec"]
    assert Settings.from_env(environment(manifests, SERVER)).engine == "transformers"


def test_gateway_and_vllm_agree() -> None:
    manifests = render(*VLLM, "quickstart.vllm.maxLoraRank=16", "quickstart.vllm.extraArgs={--max-model-len=512}")
    settings, vllm = Settings.from_env(environment(manifests, SERVER)), sidecar(manifests)
    url = urlsplit(settings.vllm_url)
    assert settings.engine == "vllm"
    assert arguments(vllm) == {
        "--host": "127.0.0.1", "--port": str(url.port), "--model": str(settings.model_path), "--enable-lora": "",
        "--disable-uvicorn-access-log": "", "--max-lora-rank": "16", "--max-loras": "8", "--max-model-len": "512",
    }  # fmt: skip
    assert (url.hostname, settings.max_lora_rank) == ("127.0.0.1", 16)
    assert {"name": "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "value": "True"} in vllm["env"]
    assert mounts(container(manifests, SERVER))["vllm-adapters"] == (str(settings.vllm_adapters), False)
    assert mounts(vllm)["vllm-adapters"] == (str(settings.vllm_adapters), True)
    assert Path(mounts(vllm)["model"][0]) == settings.model_path


def test_vllm_outlives_the_server_and_is_not_reached_from_outside() -> None:
    """A sidecar: started before, ended after."""
    vllm = sidecar(render(*VLLM))
    assert vllm["restartPolicy"] == "Always"
    assert "ports" not in vllm
    assert vllm["startupProbe"]["exec"] == vllm["livenessProbe"]["exec"]


def test_it_gets_the_gpu_unless_told_otherwise() -> None:
    assert sidecar(render(*VLLM))["resources"]["limits"]["nvidia.com/gpu"] == 1
    without = render(*VLLM, r"quickstart.vllm.resources.limits.nvidia\.com/gpu=null")
    assert sidecar(without)["resources"]["limits"].keys() == {"memory"}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (("quickstart.engine=vllm",), "quickstart.vllm.image: needed"),
        (("quickstart.engine=gguf",), "/quickstart/engine"),
        ((*VLLM, "quickstart.vllm.maxLoraRank=48"), "/quickstart/vllm/maxLoraRank"),
        ((*VLLM, "quickstart.vllm.extraArgs={oops}"), "/quickstart/vllm/extraArgs/0"),
    ],
)
def test_a_wrong_value_is_refused_naming_the_field(settings: tuple[str, ...], field: str) -> None:
    done = try_to_render(QUICKSTART, *settings)
    assert done.returncode != 0
    assert field in done.stderr


def test_the_schema_allows_what_the_server_does() -> None:
    quickstart = yaml.safe_load((CHART / "values.schema.json").read_text())["properties"]["quickstart"]["properties"]
    assert tuple(quickstart["engine"]["enum"]) == ENGINES
    assert tuple(quickstart["vllm"]["properties"]["maxLoraRank"]["enum"]) == VLLM_RANKS


@pytest.mark.control_plane
def test_the_pod_passes_the_restricted_level(plane: ControlPlane) -> None:
    template = pod_templates(render(*VLLM))[SERVER]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "with-vllm", "namespace": NAMESPACE}, "spec": template["spec"]}
    plane.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", text=as_list([pod]))
    for one in template["spec"]["initContainers"]:
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
        assert one["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert one["resources"]["limits"]["memory"]
