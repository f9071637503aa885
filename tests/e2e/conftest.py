"""The chart with its quickstart on a real node. `make e2e` starts the cluster, builds the images, and says where both are."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from builders_e2e import NAMESPACE, RELEASE, ConstantTraffic, Trained, finetune_job
from tuneloop_demo import kube, scenario
from tuneloop_demo.installation import Installation
from tuneloop_demo.questions import Question, general
from tuneloop_demo.traffic import send

CHART = Path(__file__).parents[2] / "charts" / "tuneloop"
NEW_TOKENS = 4


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """Watching its own namespace only, so that the namespaced Roles are what is tried."""
    missing = [name for name in ("KUBECONFIG", "TUNELOOP_REGISTRY", "TUNELOOP_TAG") if not os.environ.get(name)]
    if missing:
        pytest.fail(f"{', '.join(missing)} not set: run `make e2e`")
    running = json.loads(kube.run("kubectl", "get", "deployments", "-A", "-l", "app.kubernetes.io/name=tuneloop", "-o", "json"))["items"]
    others = {thing["metadata"]["namespace"] for thing in running} - {NAMESPACE}
    if others:
        names = ", ".join(sorted(others))
        pytest.fail(f"tuneloop already runs in {names}, and two operators would share these objects: `make demo-down` first")
    settings = {
        "quickstart.enabled": "true",
        "quickstart.ompNumThreads": "1",  # two replicas share the machine
        "watchNamespaces[0]": NAMESPACE,
        "image.registry": os.environ["TUNELOOP_REGISTRY"],
        "image.tag": os.environ["TUNELOOP_TAG"],
    }
    words = [word for name, value in settings.items() for word in ("--set-string" if name.endswith("tag") else "--set", f"{name}={value}")]
    # --take-ownership: CRDs outlive the release that brought them, such as the demo's
    install = ["helm", "upgrade", "--install", RELEASE, str(CHART), "-n", NAMESPACE, "--create-namespace", "--take-ownership", *words]
    kube.run(*install, timeout=300)
    kube.run("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
    try:
        installed = Installation(NAMESPACE)
        installed.wait_until_served()
        yield installed
    finally:
        # jobs first, as the chart's README says: their pods hold the volumes
        kube.run("kubectl", "delete", "finetunejobs", "--all", "-n", NAMESPACE, "--ignore-not-found", "--cascade=foreground", timeout=120)
        kube.run("helm", "uninstall", RELEASE, "-n", NAMESPACE, "--wait", timeout=300)
        kube.run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s", timeout=150)


@pytest.fixture(scope="session")
def recorded(installation: Installation) -> Sequence[Question]:
    """Sixty real questions, asked, answered and corrected: enough for the domain `general`, and for no other."""
    questions = general()[:60]
    with installation.replicas() as servers:
        send(servers, [("general", question) for question in questions], max_tokens=NEW_TOKENS, progress=lambda *_: None)
    return questions


@pytest.fixture(scope="session")
def trained(installation: Installation, recorded: Sequence[Question]) -> Trained:
    """While it trains, requests are two seconds apart: the two cores are the training's too."""
    before = installation.lives()
    with installation.replicas() as servers:
        traffic = (ConstantTraffic(servers[0], "general", pause=2), ConstantTraffic(servers[1], "general", pause=2))
        with traffic[0], traffic[1]:
            job, _ = installation.train(finetune_job("first", ["general"], installation))
            scenario.published(job)
            (revision,) = installation.wait_until_swapped(servers, ["general"])
            for one in traffic:
                kube.until("an answer of the adapter", lambda seen=one.answers: seen[-1].adapter == revision, seconds=60)
    return Trained(job, revision, traffic, before, installation.lives())
