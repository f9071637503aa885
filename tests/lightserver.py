"""The whole server on real HTTP and a real Redis, but with an engine that a test holds in its hand: no model, in the test's own loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from ports import free_port
from tuneloop_server.app import create_app
from tuneloop_server.engine.base import AdapterWeights, BaseFacts, Generation, Piece, Pressure
from tuneloop_server.parts import Parts
from tuneloop_server.settings import Settings
from waiting import until

BASE = "base-model"
TARGET = "chat/chat-llm"
DEADLINE = 20.0


@dataclass
class HeldEngine:
    """Answers each generation with these pieces, as soon as `go` is set; a piece that is an exception is raised."""

    pieces: list[str | Exception] = field(default_factory=lambda: ["One", " two", " three."])
    first: list[list[str | Exception]] = field(default_factory=list)
    """Instead of `pieces`, for as many generations."""
    go: asyncio.Event = field(default_factory=asyncio.Event)
    generations: list["HeldAnswer"] = field(default_factory=list)
    facts = BaseFacts("sha256:base", 4096, {}, "held")
    ready = True
    broken = False

    def __post_init__(self) -> None:
        self.go.set()

    async def generate(self, request: Generation) -> "HeldAnswer":
        answer = HeldAnswer(self, request)
        self.generations.append(answer)
        return answer

    def on_lost(self, tell: Callable[[str], None]) -> None:
        """It holds no adapters."""

    async def load(self, handle: str, adapter: AdapterWeights) -> float:
        raise AssertionError("it holds no adapters")

    async def unload(self, handle: str) -> None:
        raise AssertionError("it holds no adapters")

    def pressure(self) -> Pressure:
        return Pressure(sum(not answer.over for answer in self.generations), 0)

    def close(self) -> None:
        pass


@dataclass
class HeldAnswer:
    engine: HeldEngine
    request: Generation
    prompt_tokens = 7
    cancelled = False
    over = False

    async def pieces(self) -> AsyncIterator[Piece]:
        texts = self.engine.first.pop(0) if self.engine.first else self.engine.pieces
        for number, text in enumerate(texts):
            await self.engine.go.wait()
            if isinstance(text, Exception):
                raise text
            last = number == len(texts) - 1
            yield Piece(text, finish="stop" if last else "")
        self.over = True

    def cancel(self) -> None:
        self.cancelled = not self.over
        self.over = True


@dataclass
class LightServer:
    """One pod."""

    parts: Parts
    engine: HeldEngine
    port: int
    http: httpx.AsyncClient

    async def ask(self, text: str = "Where is my order?", *, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        body = {"model": BASE, "messages": [{"role": "user", "content": text}], "temperature": 0} | fields
        return await self.http.post("/v1/chat/completions", json=body, headers=headers)

    async def cached(self, text: str = "Where is my order?", **options: Any) -> str:
        """What X-Cache says."""
        return str((await self.ask(text, **options)).headers["X-Cache"])


@asynccontextmanager
async def light_server(redis_url: str, engine: HeldEngine | None = None, **settings: Any) -> AsyncIterator[LightServer]:
    engine, port = engine or HeldEngine(), free_port()
    parts = Parts(Settings(Path("/models/none"), BASE, target=TARGET, redis_url=redis_url, **settings), engine)
    server = uvicorn.Server(uvicorn.Config(create_app(parts), port=port, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    async with parts.running({}):
        serving = asyncio.create_task(server._serve())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE) as http:
            light = LightServer(parts, engine, port, http)
            await until(lambda: server.started)
            try:
                yield light
            finally:
                engine.go.set()
                server.should_exit = True
                await serving
