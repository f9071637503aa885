"""vLLM as an Engine: what is asked of us, asked of it."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Never

from tuneloop_server.engine.base import RETRY_AFTER, AdapterWeights, Answer, BaseFacts, Generation, Pressure
from tuneloop_server.engine.vllm.adapters import Adapters
from tuneloop_server.engine.vllm.answer import VllmAnswer
from tuneloop_server.engine.vllm.client import Client, VllmError, VllmUnavailable
from tuneloop_server.errors import BadRequest, GenerationFailed, PromptTooLong, TryLater, Unavailable

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between looks at vLLM: how long a restart may go unnoticed while nobody asks for anything."""


class VllmEngine:
    """An Engine (see base)."""

    def __init__(self, client: Client, facts: BaseFacts, adapters: Adapters, up: asyncio.Event, max_waiting: int) -> None:
        self._client = client
        self._facts = facts
        self._adapters = adapters
        self._up = up
        self._max_waiting = max_waiting
        self._asking = 0
        """Requests that vLLM has not taken yet."""
        self._open: set[VllmAnswer] = set()
        self._doubt = asyncio.Event()
        """Somebody could not reach it: look at once."""

    @property
    def facts(self) -> BaseFacts:
        return self._facts

    @property
    def ready(self) -> bool:
        return self._up.is_set()

    @property
    def broken(self) -> bool:
        return False  # its container has a probe of its own

    def on_lost(self, tell: Callable[[str], None]) -> None:
        self._adapters.on_lost = tell

    async def generate(self, request: Generation) -> Answer:
        if not self.ready:
            raise _unavailable()
        if self.pressure().waiting >= self._max_waiting:
            raise TryLater("too many requests are waiting; try again in a moment", retry_after=RETRY_AFTER)
        self._asking += 1
        try:
            return await self._ask(request)
        except (VllmUnavailable, VllmError) as error:
            raise self._told(error) from error
        finally:
            self._asking -= 1

    async def load(self, handle: str, adapter: AdapterWeights) -> float:
        return await self._adapters.add(handle, adapter)

    async def unload(self, handle: str) -> None:
        await self._adapters.remove(handle)

    def pressure(self) -> Pressure:
        answers = tuple(self._open)
        running = sum(answer.started for answer in answers)
        return Pressure(running, self._asking + len(answers) - running)

    def close(self) -> None:
        for answer in list(self._open):
            answer.cancel()

    async def keep(self) -> Never:
        """Look at vLLM again and again; when it restarted, give it back what it should hold."""
        while True:
            self._doubt.clear()
            try:
                await self._adapters.restore()
            except Exception as error:  # whatever it was: the next look may go better, and this loop must not end
                self._gone(error)
            else:
                self._there()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):  # wait_for of Python 3.11 may swallow the cancellation that ends this
                    await self._doubt.wait()

    async def _ask(self, request: Generation) -> VllmAnswer:
        prompt = await self._client.tokens(request)
        room = self._facts.context - len(prompt)
        if room < 1:
            raise PromptTooLong(
                f"the prompt has {len(prompt)} tokens; with an answer, this model reads at most {self._facts.context}",
                param="prompt" if request.bare else "messages",
            )
        response = await self._client.stream(to_body(request, self._adapters.name(request.adapter), prompt, room))
        return VllmAnswer(len(prompt), response, self._open)

    def _told(self, error: VllmUnavailable | VllmError) -> Exception:
        """As a client should hear it."""
        if isinstance(error, VllmError) and error.status == 400:
            return BadRequest(f"the model refuses this request: {error.message}", param="messages")
        self._doubt.set()
        if isinstance(error, VllmError) and error.status == 500:
            return GenerationFailed("the model failed on this request")
        return _unavailable()  # 404: it does not know the adapter, and so has just restarted

    def _gone(self, error: Exception) -> None:
        if self.ready:
            log.warning("vLLM is away: %s", type(error.__cause__ or error).__name__)
        self._up.clear()

    def _there(self) -> None:
        if not self.ready:
            log.info("vLLM is there")
        self._up.set()


def to_body(request: Generation, model: str, prompt: list[int], room: int) -> dict[str, Any]:
    """Of /v1/completions: a chat whose template is applied already. Names what the model's generation_config.json would otherwise fill
    in, which other engines do not read."""
    sampling = request.sampling
    return {
        "model": model, "prompt": prompt, "max_tokens": min(sampling.max_tokens, room), "temperature": sampling.temperature,
        "top_p": sampling.top_p, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "stop": list(sampling.stop), "seed": sampling.seed,
        "stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }  # fmt: skip


def _unavailable() -> Unavailable:
    return Unavailable("the model is starting; try again in a moment", retry_after=RETRY_AFTER)
