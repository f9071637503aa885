"""How long a change of the manifest takes until every replica can answer with the new revision."""

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

import httpx

from tuneloop_contracts.manifest import MANIFEST_KEY, AdapterManifest
from tuneloop_contracts.names import manifest_configmap
from tuneloop_contracts.pods import ADAPTERS_PATH, STATUS_PORT, AdapterState, PodReport
from tuneloop_demo import kube

BETWEEN_TRIES = 0.1
"""Seconds, where a pod's forwarded port does not answer."""


@dataclass
class SwapTimes:
    """When each revision was first written to the manifest, and first loaded on each pod (monotonic seconds)."""

    written: dict[str, float] = field(default_factory=dict)
    loaded: dict[str, dict[str, float]] = field(default_factory=dict)

    def seconds(self, revision: str) -> float:
        """Manifest written -> loaded by the last pod that did."""
        return max(self.loaded[revision].values()) - self.written[revision]


@contextmanager
def watch_swaps(target: str, pods: Sequence[str], *, namespace: str) -> Iterator[SwapTimes]:
    times, stop = SwapTimes(), Event()
    words = ["kubectl", "get", "configmap", manifest_configmap(target), "-n", namespace, "--watch", "-o", "json"]
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603 - our own words
        )
        urls = {pod: stack.enter_context(kube.port_forward(pod, STATUS_PORT, namespace=namespace)) for pod in pods}
        threads = [Thread(target=_follow_manifest, args=(process, times), daemon=True)]
        threads += [Thread(target=_follow_pod, args=(pod, url, times, stop), daemon=True) for pod, url in urls.items()]
        for thread in threads:
            thread.start()
        try:
            yield times
        finally:
            stop.set()
            process.terminate()
            for thread in threads:
                thread.join(timeout=5)


def _follow_manifest(process: "subprocess.Popen[str]", times: SwapTimes) -> None:
    decoder, text = json.JSONDecoder(), ""
    for line in process.stdout or ():
        text += line
        if line != "}\n":  # kubectl prints one indented object after another
            continue
        configmap, text = decoder.decode(text), ""
        for adapter in AdapterManifest.model_validate_json(configmap["data"][MANIFEST_KEY]).adapters:
            times.written.setdefault(adapter.name, time.monotonic())


def _follow_pod(pod: str, url: str, times: SwapTimes, stop: Event) -> None:
    seen = 0
    while not stop.is_set():
        try:
            answer = httpx.get(f"{url}{ADAPTERS_PATH}", params={"seen": seen, "wait": "2s"}, timeout=10)
        except httpx.HTTPError:
            stop.wait(BETWEEN_TRIES)
            continue
        report = PodReport.model_validate_json(answer.content)
        seen = report.revision
        for adapter in report.adapters:
            if adapter.state is AdapterState.LOADED:
                times.loaded.setdefault(adapter.name, {}).setdefault(pod, time.monotonic())
