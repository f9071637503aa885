"""A completion that vLLM streams, as the pieces of an answer."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from tuneloop_server.engine.base import RETRY_AFTER, Piece
from tuneloop_server.errors import GenerationFailed, Unavailable

_DATA = b"data: "
_DONE = b"[DONE]"


class VllmAnswer:
    """An Answer (see base). Is one of `all_open` until its end; its connection is vLLM's sign that somebody still wants it."""

    def __init__(self, prompt_tokens: int, response: aiohttp.ClientResponse, all_open: "set[VllmAnswer]") -> None:
        self._prompt_tokens = prompt_tokens
        self._response = response
        self._all_open = all_open
        self.started = False
        """The first piece has come."""
        all_open.add(self)

    @property
    def prompt_tokens(self) -> int:
        return self._prompt_tokens

    async def pieces(self) -> AsyncIterator[Piece]:
        finished, tokens = False, 0
        try:
            async for event in self._events():
                if piece := to_piece(event, tokens):
                    self.started = True
                    finished, tokens = bool(piece.finish), tokens + piece.tokens
                    yield piece
            if not finished:
                raise Unavailable("the model went away in the middle of this answer", retry_after=RETRY_AFTER)
        finally:
            self.cancel()

    def cancel(self) -> None:
        self._all_open.discard(self)
        self._response.close()

    async def _events(self) -> AsyncIterator[dict[str, Any]]:
        """To the end of the stream, or to where it broke off."""
        try:
            async for line in self._response.content:
                if line.startswith(_DATA) and not line.startswith(_DATA + _DONE):
                    yield json.loads(line[len(_DATA) :])
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return


def to_piece(event: dict[str, Any], tokens: int) -> Piece | None:
    """What an event adds to the `tokens` before it; None for one without a choice, as the last is. Raises GenerationFailed."""
    if "error" in event:
        raise GenerationFailed("the model failed on this request")
    if not event["choices"]:
        return None
    choice = event["choices"][0]
    finish = choice.get("finish_reason") or ""
    if finish not in ("", "stop", "length"):
        raise GenerationFailed(f"the model gave up on this request: {finish}")
    return Piece(choice["text"], event["usage"]["completion_tokens"] - tokens, finish)
