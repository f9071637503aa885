"""A server pod without a node: the Pod object is the API server's, its status port is a real one on 127.0.0.1.

It follows its ConfigMap as the real server does, and reports every adapter of the manifest as loaded, but for those that the
test says are bad.
"""

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import httpx

from tuneloop_contracts.manifest import MANIFEST_KEY, AdapterManifest
from tuneloop_contracts.names import manifest_configmap
from tuneloop_contracts.pods import AdapterReport, AdapterState, LoadFault, PodReport, RecordedReport, RedisState

BASE_DIGEST = "sha256:" + "b" * 64


class ServerPod:
    """Start with `with ServerPod(...)`."""

    def __init__(self, api: httpx.Client, namespace: str, target: str) -> None:
        self._api, self._namespace, self._target = api, namespace, target
        self._turn = threading.Condition()
        self._report = PodReport(resource_version="", revision=1, base_model="smollm2", base_digest=BASE_DIGEST, redis=RedisState.OK)
        self._stopped = threading.Event()
        self.recorded = RecordedReport(recorded={"support": 412}, redis=RedisState.OK)
        self.bad: dict[str, LoadFault] = {}
        """By digest, what this pod finds wrong with an adapter."""
        self.paused = False
        """While True, it does not look at its ConfigMap."""
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.port = self._http.server_port

    def __enter__(self) -> "ServerPod":
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._http.serve_forever, self._follow)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with self._turn:
            self._turn.notify_all()
        self._http.shutdown()
        self._http.server_close()
        for thread in self._threads:
            thread.join(10)

    def says(self, **changes: Any) -> None:
        """Changes its report, and wakes whoever polls."""
        with self._turn:
            self._report = self._report.model_copy(update=changes | {"revision": self._report.revision + 1})
            self._turn.notify_all()

    def report(self, seen: int, wait: float) -> PodReport:
        deadline = time.monotonic() + wait
        with self._turn:
            while self._report.revision <= seen and not self._stopped.is_set() and (rest := deadline - time.monotonic()) > 0:
                self._turn.wait(rest)
            return self._report

    def _follow(self) -> None:
        path = f"/api/v1/namespaces/{self._namespace}/configmaps/{manifest_configmap(self._target)}"
        seen: tuple[Any, ...] = ()
        while not self._stopped.wait(0.05):
            found = self._api.get(path)
            if found.status_code != 200 or self.paused:
                continue
            version = found.json()["metadata"]["resourceVersion"]
            if seen != (version, tuple(self.bad.items())):
                seen = (version, tuple(self.bad.items()))
                self._load(version, AdapterManifest.model_validate_json(found.json()["data"][MANIFEST_KEY]))

    def _load(self, version: str, manifest: AdapterManifest) -> None:
        reports = tuple(
            AdapterReport(
                name=adapter.name,
                digest=adapter.digest,
                state=AdapterState.FAILED if adapter.digest in self.bad else AdapterState.LOADED,
                reason=self.bad.get(adapter.digest),
                message=f"it is {self.bad[adapter.digest]}" if adapter.digest in self.bad else "",
            )
            for adapter in manifest.adapters
        )
        self.says(resource_version=version, adapters=reports)


def _handler(pod: ServerPod) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlparse(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            if url.path == "/status/adapters":
                answer = pod.report(int(query.get("seen", 0)), float(query.get("wait", "0s").removesuffix("s"))).to_wire()
            else:
                answer = pod.recorded.to_wire()
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # whoever asked is gone
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
