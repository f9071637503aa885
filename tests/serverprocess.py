"""A real inference server as a process of its own, with the manifest in a file."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import redis
from openai import OpenAI

from builders_adapters import REPOSITORY, base_folder, digest_of_base, make_adapter
from ports import free_port
from redisserver import RedisServer
from tuneloop_contracts.domains import DEFAULT_DOMAINS
from tuneloop_contracts.manifest import AdapterManifest, ManifestAdapter, Route
from tuneloop_contracts.names import revision_name
from tuneloop_contracts.pods import AdapterReport, AdapterState, PodReport
from tuneloop_server.manifest.source import parse

BASE = "smollm2-135m-instruct"
TARGET = "chat/chat-llm"
DEADLINE = 60.0
START_DEADLINE = 240.0
"""Importing torch on a machine that builds images at the same time."""


class ServerProcess:
    def __init__(self, folder: Path, **environment: str) -> None:
        self.manifest_file = folder / "manifest.json"
        self.log_file = folder / "server.log"
        self.port, self.status_port = free_port(), free_port()
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None
        self.manifest = AdapterManifest()
        self.redis: RedisServer | None = None
        """Where a test may stop it."""
        self._clients: list[OpenAI] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True) -> "ServerProcess":
        places = [str(REPOSITORY / name) for name in ("contracts", "server_image")]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "2", "HOST": "127.0.0.1", "PORT": str(self.port),
            "STATUS_PORT": str(self.status_port), "MODEL_PATH": str(base_folder()), "MODEL_NAME": BASE, "TUNELOOP_TARGET": TARGET,
            "MANIFEST_FILE": str(self.manifest_file),
        } | self.environment  # fmt: skip
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "tuneloop_server"], env=environment, stdout=log, stderr=log)
        if wait:
            self.wait_until(self.is_ready, "the server is ready", START_DEADLINE)
        return self

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        """However the test went, nothing is left running or open."""
        for client in self._clients:
            client.close()
        if self.process:
            self.process.kill()
            self.process.wait(DEADLINE)
            self.process = None

    def stop(self) -> int:
        """As the kubelet does; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(DEADLINE)
        self.process = None
        return code

    def is_ready(self) -> bool:
        self.check_alive()
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def check_alive(self) -> None:
        assert self.process is not None
        assert self.process.poll() is None, self.log()[-3000:]

    def log(self) -> str:
        return self.log_file.read_text()

    def client(self, key: str = "key-a") -> OpenAI:
        """Closed with the server: a socket that the collector finds open is a warning, and so an error of whatever test runs by then."""
        self._clients.append(OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=DEADLINE))
        return self._clients[-1]

    def ask(self, model: str, text: str, *, key: str = "key-a", headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        """One chat request, greedy and short unless said otherwise."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 8} | fields
        sent = {"Authorization": f"Bearer {key}"} | (headers or {})
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, headers=sent, timeout=DEADLINE)

    def metric(self, sample: str) -> float:
        """The value of one line of /metrics, by all before its value; 0 if it is not there yet."""
        lines = httpx.get(f"{self.url}/metrics", timeout=5).text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == sample), 0.0)

    def report(self, seen: int | None = None, wait: int = 0) -> PodReport:
        query = {"wait": f"{wait}s"} | ({} if seen is None else {"seen": str(seen)})
        answer = httpx.get(f"http://127.0.0.1:{self.status_port}/status/adapters", params=query, timeout=DEADLINE)
        return PodReport.model_validate(answer.json())

    def entry(self, name: str) -> AdapterReport | None:
        return next((adapter for adapter in self.report().adapters if adapter.name == name), None)

    def apply(self, *adapters: ManifestAdapter, routes: dict[str, str] | None = None, **fields: Any) -> None:
        """Write the manifest, by rename as everybody should; `routes`: all of a domain's requests to one revision."""
        routed = {domain: (Route(to=to),) for domain, to in (routes or {}).items()}
        self.manifest = AdapterManifest(
            **{"base_model": BASE, "adapters": adapters, "routes": routed, "domains": DEFAULT_DOMAINS, "salt": "pepper"} | fields
        )
        partial = self.manifest_file.with_suffix(".partial")
        partial.write_text(json.dumps(self.manifest.to_wire()))
        partial.rename(self.manifest_file)

    def serve(self, *adapters: ManifestAdapter, **options: Any) -> None:
        """Apply, and wait until the server follows it and every entry has settled."""
        self.apply(*adapters, **options)
        applied = parse(self.manifest_file.read_bytes()).resource_version
        self.wait_until(lambda: settled(self.report(), adapters, applied), f"{[adapter.name for adapter in adapters]} have settled")

    def forget_everything(self) -> None:
        self.serve()
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as store:
            store.flushall()

    def wait_until(self, reached: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
        until = time.monotonic() + deadline
        while not reached():
            assert time.monotonic() < until, f"not within {deadline} s: {what}\n{self.log()[-3000:]}"
            time.sleep(0.05)


def settled(report: PodReport, adapters: tuple[ManifestAdapter, ...], applied: str) -> bool:
    """That manifest is followed, its adapters and no others are there, and none is on its way."""
    there = {adapter.name for adapter in report.adapters}
    moving = any(adapter.state in (AdapterState.LOADING, AdapterState.DRAINING) for adapter in report.adapters)
    return report.resource_version == applied and there == {adapter.name for adapter in adapters} and not moving


def revision(folder: Path, domain: str, number: int = 1, seed: int = 1) -> ManifestAdapter:
    """A good adapter on disk, as the manifest names it."""
    digest = make_adapter(folder / f"{domain}-{number}", digest_of_base(), domain, seed)
    return named(folder / f"{domain}-{number}", domain, number, digest)


def named(folder: Path, domain: str, number: int, digest: str) -> ManifestAdapter:
    return ManifestAdapter(name=revision_name(domain, number, digest), domain=domain, uri=f"file://{folder}", digest=digest)
