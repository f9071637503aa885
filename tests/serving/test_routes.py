"""Nothing over HTTP can change what is served: every route that there is, of both ports, by every way of writing it."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from lightserver import HeldEngine
from serverprocess import ServerProcess, revision
from tuneloop_server.app import create_app, create_status_app
from tuneloop_server.parts import Parts
from tuneloop_server.settings import Settings

READS = {
    ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/v1/models"), ("GET", "/v1/models/{name}"),
    ("GET", "/status/adapters"), ("GET", "/status/recorded"),
}  # fmt: skip
WRITES = {("POST", f"/v1/{name}") for name in ("chat/completions", "completions", "embeddings", "feedback")}
"""Answers, vectors and feedback; none names an adapter's place or weights."""


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "MKCOL", "get", "Post")
OF_OTHERS = (
    "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/v1/adapters", "/v1/models/{name}/adapters", "/docs", "/redoc", "/openapi.json",
)  # fmt: skip
"""Paths by which other servers take adapters, or show their routes."""
A_CHANGE = json.dumps({"lora_name": "evil", "lora_path": "/tmp/evil", "load_inplace": True, "adapters": [], "routes": {}})
"""A body as those servers would have it; the API's own POSTs find it wanting."""


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """What the OpenAPI generator finds is every route, those of included routers too."""
    for path, operations in app.openapi()["paths"].items():
        for method in operations:
            yield method.upper(), path


async def test_every_route_reads_but_the_four_of_the_api() -> None:
    parts = Parts(Settings(Path("/models/x"), "x"), HeldEngine())
    assert set(routes(create_app(parts))) | set(routes(create_status_app(parts))) == READS | WRITES
    assert all(method == "GET" for method, _ in routes(create_status_app(parts)))


def spellings(path: str) -> list[str]:
    """Other ways to write a path that a router, a proxy or a file system might take for the same."""
    first, rest = path[1], path[2:]
    return [
        path, path.upper(), path.title(), path + "/", path + "//", "/" + path, "/." + path, "/x/.." + path, "/%2e" + path,
        "/x/%2e%2e" + path,
        f"/%{ord(first):02x}{rest}", path[0] + path[1:].replace("/", "%2f"), path + "%00", path + "%0a", path + ";x", path + "?wait=0s",
        path + "#x", "http://127.0.0.1" + path,
    ]  # fmt: skip


def ask(port: int, method: str, target: str) -> int:
    """The status, for exactly this request line."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Authorization": "Bearer key-a", "Content-Type": "application/json"}
        connection.request(method, target, A_CHANGE, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.model
def test_no_way_of_writing_a_request_changes_adapters(server: ServerProcess, adapters: Path) -> None:
    """Afterwards the report is the one from before, down to the counter of its changes."""
    parts = Parts(Settings(Path("/models/x"), "x"), HeldEngine())
    paths = sorted({path for app in (create_app(parts), create_status_app(parts)) for _, path in routes(app)} | set(OF_OTHERS))
    support = revision(adapters, "support")
    server.serve(support, routes={"support": support.name})
    before = server.report()
    requests = [
        (port, method, target)
        for port in (server.port, server.status_port)
        for path in paths
        for target in spellings(path.replace("{name}", support.name))
        for method in METHODS
    ]
    answered = {request: ask(*request) for request in requests}
    assert {status for status in answered.values() if status >= 500} == set()
    assert {method for (_, method, _), status in answered.items() if status < 400} == {"GET", "HEAD"}
    assert server.report() == before
    assert server.ask("support", "still there?", max_tokens=1).headers["X-Adapter"] == support.name
