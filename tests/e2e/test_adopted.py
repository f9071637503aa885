"""A Deployment of one's own with its stores in S3: examples/adopt and examples/inferencetarget-s3.yaml, but for their names."""

import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from builders_adapters import base_folder
from builders_e2e import finetune_job
from s3.gateway import S3Gateway
from tuneloop_contracts.adapters import FILES
from tuneloop_contracts.dataset import DATA_FILES
from tuneloop_demo import kube
from tuneloop_demo.installation import Installation
from tuneloop_demo.questions import general
from tuneloop_demo.traffic import send

EXAMPLES = Path(__file__).parents[2] / "examples"
NAME = "shop-llm"
KEYS = ("chat-adapters-s3", "chat-datasets-s3", "chat-models-s3")
"""Secrets that the example names."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Gateway]:
    """Beside the node, on its address: pods reach it as they would a store elsewhere."""
    node = kube.run("kubectl", "get", "nodes", "-o", "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}")
    if not is_here(node):
        pytest.skip(f"the node {node} is another machine, and its pods may not reach a server of this one")
    server = S3Gateway(tmp_path_factory.mktemp("s3"), host=node).start()
    for bucket in ("adapters", "private"):
        server.bucket(bucket)
    shutil.copytree(base_folder(), server.bucket("models") / "shop-base")
    yield server
    server.stop()


def is_here(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


@pytest.fixture(scope="module")
def shop(installation: Installation, gateway: S3Gateway) -> Iterator[Installation]:
    made = [*secrets(gateway), *adopted(installation), target(installation)]
    kube.apply(*made, namespace=installation.namespace)
    try:
        serving = replace(installation, target=NAME)
        serving.wait_until_served()
        yield serving
    finally:
        for thing in reversed(made):
            kube.delete(thing["kind"], thing["metadata"]["name"], namespace=installation.namespace)


def secrets(gateway: S3Gateway) -> list[kube.Manifest]:
    return [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": gateway.env} for name in KEYS]


def redis_secret(installation: Installation) -> str:
    found = kube.get("inferencetarget", installation.target, namespace=installation.namespace)
    return str(found["spec"]["redis"]["secretRef"]["name"])


def example(installation: Installation, name: str) -> list[kube.Manifest]:
    text, namespace = (EXAMPLES / name).read_text(), installation.namespace
    names = {
        "chat-llm": NAME,
        "chat-redis": redis_secret(installation),
        "namespace: chat": f"namespace: {namespace}",
        "chat/": f"{namespace}/",
    }
    for theirs, ours in names.items():
        text = text.replace(theirs, ours)
    return list(yaml.safe_load_all(text))


def adopted(installation: Installation) -> list[kube.Manifest]:
    """With the keys of the adapters' store instead of its volume, as its README says; one replica, on one thread."""
    deployment, service = example(installation, "adopt/deployment.yaml")
    deployment["spec"]["replicas"] = 1
    pod = deployment["spec"]["template"]["spec"]
    pod["volumes"], (server,) = [volume for volume in pod["volumes"] if volume["name"] != "adapters"], pod["containers"]
    server["volumeMounts"] = [mount for mount in server["volumeMounts"] if mount["name"] != "adapters"]
    server["envFrom"] = [{"secretRef": {"name": KEYS[0]}}]
    server["env"].append({"name": "OMP_NUM_THREADS", "value": "1"})
    server["image"] = f"{os.environ['TUNELOOP_REGISTRY']}/tuneloop-server:{os.environ['TUNELOOP_TAG']}"
    return [*example(installation, "adopt/rbac.yaml"), deployment, service]


def target(installation: Installation) -> kube.Manifest:
    (made,) = example(installation, "inferencetarget-s3.yaml")
    made["spec"]["baseModel"]["name"] = "smollm2-135m-instruct"  # as the Deployment's
    return made


def test_traffic_becomes_an_adapter_in_a_bucket(shop: Installation, gateway: S3Gateway) -> None:
    with shop.replicas() as servers:
        send(servers, [("general", question) for question in general()[:60]], max_tokens=4, progress=lambda *_: None)
        job, _ = shop.train(finetune_job("shop", ["general"], shop, evaluation={"gate": "Report"}))
        assert kube.is_true(job, "Complete"), job["status"]
        (adapter,) = job["status"]["adapters"]
        assert adapter["uri"].startswith("s3://adapters/shop/general/")
        folder = gateway.folder / adapter["uri"].removeprefix("s3://")
        assert {file.name for file in folder.iterdir()} == set(FILES)
        dataset = gateway.folder / job["status"]["dataset"]["uri"].removeprefix("s3://")
        assert {file.name for file in dataset.iterdir()} >= set(DATA_FILES)
        (revision,) = shop.wait_until_swapped(servers, ["general"])
        assert revision.endswith(adapter["digest"].removeprefix("sha256:")[:8])
