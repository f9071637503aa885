"""Nothing over HTTP can change what is served: every route that there is, of both ports."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from tuneloop_server.app import create_app, create_status_app
from tuneloop_server.engine.base import BaseFacts, Pressure
from tuneloop_server.parts import Parts
from tuneloop_server.settings import Settings

READS = {
    ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/v1/models"), ("GET", "/v1/models/{name}"),
    ("GET", "/status/adapters"), ("GET", "/status/recorded"),
}  # fmt: skip
WRITES = {("POST", "/v1/chat/completions"), ("POST", "/v1/feedback")}
"""Answers and feedback; neither names an adapter's place or weights."""


class NoModel:
    """Enough of an engine to build the applications."""

    facts = BaseFacts("sha256:0", 8, {}, "none")

    def pressure(self) -> Pressure:
        return Pressure(0, 0)


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """What the OpenAPI generator finds is every route, those of included routers too."""
    for path, operations in app.openapi()["paths"].items():
        for method in operations:
            yield method.upper(), path


async def test_every_route_reads_but_the_two_of_the_api() -> None:
    engine: Any = NoModel()
    parts = Parts(Settings(Path("/models/x"), "x"), engine)
    assert set(routes(create_app(parts))) | set(routes(create_status_app(parts))) == READS | WRITES
    assert all(method == "GET" for method, _ in routes(create_status_app(parts)))
