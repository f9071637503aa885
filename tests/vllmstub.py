"""A stub that speaks as much of vLLM's HTTP as the gateway uses, for what the real one cannot be made to do (`make test-vllm` has that).

The words of its answer are those of the prompt, one a token; an adapter's answers are in capitals.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

BASE = "base"


@dataclass
class VllmStub:
    root: str
    """The folder that it says it serves."""
    context: int = 64
    port: int = 0
    adapters: dict[str, str] = field(default_factory=dict)
    """Folder by name, as it lists them."""
    streams: int = 0
    """Completions that somebody is listening to."""
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    """(status, message) to give instead of an answer, by path."""
    deaf: int = 0
    """Loads to come that it takes, says 200 to, and forgets."""
    deaths: int = 0
    """Loads to come in the middle of which it breaks the connection."""
    mute: bool = False
    """Whether it leaves questions for its models unanswered."""
    broken_stream: str = ""
    """`error`, `cut` or `hang`: what happens after the first word."""
    logprobs: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    """Of a probe, by `base` or `adapter`: the next answers, the last one for ever; an empty one cannot be written as JSON."""
    tokenized: dict[str, object] = field(default_factory=dict)
    """What it was last asked to split into tokens."""
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        app = web.Application(client_max_size=2**24)
        app.add_routes([
            web.get("/v1/models", self._models), web.post("/tokenize", self._tokenize), web.post("/v1/completions", self._completions),
            web.post("/v1/load_lora_adapter", self._load), web.post("/v1/unload_lora_adapter", self._unload),
        ])  # fmt: skip
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """As a crash: what was loaded is gone."""
        self.adapters.clear()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _models(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request):
            return refused
        while self.mute:  # noqa: ASYNC110 - a plain value, for tests to set
            await asyncio.sleep(0.01)
        base = {"id": BASE, "root": self.root, "parent": None, "max_model_len": self.context}
        loaded = [{"id": name, "root": root, "parent": BASE, "max_model_len": None} for name, root in self.adapters.items()]
        return web.json_response({"object": "list", "data": [base, *loaded]})

    async def _tokenize(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request):
            return refused
        self.tokenized = asked = await request.json()
        words = asked["prompt"].split() if "prompt" in asked else " ".join(message["content"] for message in asked["messages"]).split()
        self._words = words
        return web.json_response({"count": len(words), "max_model_len": self.context, "tokens": list(range(len(words)))})

    async def _load(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if self.deaths:
            self.deaths -= 1
            assert request.transport
            request.transport.abort()
            return web.Response()
        if refused := self._refusal(request):
            return refused
        if asked["lora_name"] in self.adapters:
            return _error(400, "has already been loaded")
        if self.deaf:
            self.deaf -= 1
        else:
            self.adapters[asked["lora_name"]] = asked["lora_path"]
        return web.Response(text="Success")

    async def _unload(self, request: web.Request) -> web.Response:
        known = self.adapters.pop((await request.json())["lora_name"], None)
        return web.Response(text="Success") if known else _error(404, "cannot be found")

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        if asked["model"] not in (BASE, *self.adapters):
            return _error(404, "does not exist")
        if "logprobs" in asked:
            return self._probed(asked["model"])
        return self._refusal(request) or await self._streamed(request, asked)

    def _probed(self, model: str) -> web.Response:
        queue = self.logprobs.get(BASE if model == BASE else "adapter", [{"token_id:7": -1.0 if model == BASE else -1.5}])
        values = queue.pop(0) if len(queue) > 1 else queue[0]
        if not values:
            return _error(400, "Out of range float values are not JSON compliant")
        return web.json_response({"choices": [{"text": "x", "logprobs": {"top_logprobs": [values]}}]})

    async def _streamed(self, request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        words = [word if asked["model"] == BASE else word.upper() for word in self._words][: asked["max_tokens"]]
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.streams += 1
        try:
            for count, word in enumerate(words, 1):
                finish = ("length" if count == asked["max_tokens"] else "stop") if count == len(words) else None
                choice = {"index": 0, "text": f"{word} ", "finish_reason": finish}
                await response.write(_event({"choices": [choice], "usage": {"prompt_tokens": len(words), "completion_tokens": count}}))
                if self.broken_stream == "error":
                    await response.write(_event({"error": {"message": "EngineCore died", "code": 500}}))
                elif self.broken_stream == "cut":
                    assert request.transport
                    request.transport.abort()
                elif self.broken_stream == "hang":
                    await asyncio.Event().wait()
            await response.write(_event({"choices": [], "usage": {"prompt_tokens": len(words), "completion_tokens": len(words)}}))
            await response.write(b"data: [DONE]\n\n")
        finally:
            self.streams -= 1
        return response

    def _refusal(self, request: web.Request) -> web.Response | None:
        known = self.answers.get(request.path)
        return _error(*known) if known else None


@asynccontextmanager
async def running(root: str, **options: Any) -> AsyncIterator[VllmStub]:
    stub = VllmStub(root, **options)
    await stub.start()
    try:
        yield stub
    finally:
        await stub.stop()


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "Error", "param": None, "code": status}}, status=status)


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"
