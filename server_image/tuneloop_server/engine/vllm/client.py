"""vLLM's HTTP, and what its answers mean."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tuneloop_server.engine.base import Generation

QUICK = aiohttp.ClientTimeout(total=10)
"""For questions that take milliseconds: no answer within this is no vLLM."""
SLOW = aiohttp.ClientTimeout(total=120)
"""For loads and probes, which wait for the step that is being computed, and for room in the batch."""
STREAM = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=300)
"""For answers: as long as they take, but not for ever in silence."""
KEEP_ALIVE_SECONDS = 2.0
"""Of idle connections; vLLM closes its own end after 5, and a request that is just being sent then would be lost."""


class VllmUnavailable(Exception):
    """vLLM is not there, or it broke off: try later."""


class VllmError(Exception):
    """vLLM answered, but not with what was asked for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message
        """Its own words."""


@dataclass(frozen=True)
class ModelCard:
    """An entry of /v1/models."""

    id: str
    root: str
    """The folder it was read from."""
    parent: str | None
    """Of an adapter: the base's id."""
    context: int | None
    """Of a base: longest prompt and answer together, in tokens."""


class Client:
    """Raises VllmUnavailable and VllmError. `session` has vLLM's URL as its base."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def models(self) -> tuple[ModelCard, ...]:
        """The base, then the adapters that were loaded."""
        async with self._call("GET", "/v1/models", QUICK) as response:
            listed = json.loads(await response.read())["data"]
            return tuple(ModelCard(card["id"], card["root"], card.get("parent"), card.get("max_model_len")) for card in listed)

    async def tokens(self, request: Generation) -> list[int]:
        """The prompt that the model's chat template makes of the messages, up to where the answer begins; or the bare one, as it is."""
        turns = [{"role": message.role, "content": message.content} for message in request.messages]
        asked = {"prompt": turns[0]["content"], "add_special_tokens": False} if request.bare else {"messages": turns}
        async with self._call("POST", "/tokenize", QUICK, asked) as response:
            return list(json.loads(await response.read())["tokens"])

    async def stream(self, body: Mapping[str, Any]) -> aiohttp.ClientResponse:
        """A completion as server-sent events; it is the caller's to close."""
        try:
            response = await self._session.post("/v1/completions", json=body, timeout=STREAM)
            await _check(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise VllmUnavailable from error
        return response

    async def next_logprobs(self, model: str, prompt: str) -> Mapping[str, float]:
        """Log probability of each of the likeliest tokens after a prompt.

        Not of the prompt's own tokens: with LoRA, asking for those while other requests run ends vLLM 0.32 on a CPU, and maps them to
        the wrong adapter elsewhere (vllm#16668).
        """
        body = {"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0, "logprobs": 5, "return_tokens_as_token_ids": True}
        async with self._call("POST", "/v1/completions", SLOW, body) as response:
            return dict(json.loads(await response.read())["choices"][0]["logprobs"]["top_logprobs"][0])

    async def load_adapter(self, name: str, folder: str) -> None:
        """A 200 is a promise: whether it is there is another question."""
        async with self._call("POST", "/v1/load_lora_adapter", SLOW, {"lora_name": name, "lora_path": folder}):
            pass

    async def unload_adapter(self, name: str) -> None:
        async with self._call("POST", "/v1/unload_lora_adapter", SLOW, {"lora_name": name}):
            pass

    @asynccontextmanager
    async def _call(
        self, method: str, path: str, within: aiohttp.ClientTimeout, body: Mapping[str, Any] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._session.request(method, path, json=body, timeout=within) as response:
                await _check(response)
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise VllmUnavailable from error
        except (ValueError, KeyError, TypeError, IndexError) as error:  # whoever reads the answer does so in here
            raise VllmError(200, "an answer that is not vLLM's") from error


def connector() -> aiohttp.TCPConnector:
    """Without a limit of its own: how many requests may wait is the engine's to say."""
    return aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS)


async def _check(response: aiohttp.ClientResponse) -> None:
    """Raises VllmError with vLLM's own words."""
    if response.status == 200:
        return
    try:
        message = str(json.loads(await response.read())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = ""
    finally:
        response.release()
    raise VllmError(response.status, message)
