"""An answer as server-sent events, as OpenAI sends them. Pure, but for the pieces that come in.

data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}
data: {"choices": [{"delta": {"content": "Hello"}}]}       one for each piece with text
data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}
data: {"choices": [], "usage": {...}}                      if the client asked for it
data: [DONE]
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from tuneloop_server.chat.protocol import usage
from tuneloop_server.engine.base import Piece
from tuneloop_server.errors import ApiError

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Envelope:
    """What all events of one answer share."""

    id: str
    created: int
    model: str

    def event(self, **fields: Any) -> bytes:
        return _event({"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model} | fields)

    def delta(self, delta: dict[str, str], finish: str | None = None) -> bytes:
        return self.event(choices=[{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}])


async def events(envelope: Envelope, pieces: AsyncIterator[Piece], prompt_tokens: int, *, with_usage: bool) -> AsyncIterator[bytes]:
    """An engine that breaks on the way ends the stream with an `error` event and no [DONE]: the status line is long gone."""
    tokens = 0
    yield envelope.delta({"role": "assistant", "content": ""})
    try:
        async for piece in pieces:
            tokens += piece.tokens
            if piece.text:
                yield envelope.delta({"content": piece.text})
            if piece.finish:
                yield envelope.delta({}, piece.finish)
    except ApiError as error:
        yield _event(error.body())
        return
    if with_usage:
        yield envelope.event(choices=[], usage=usage(prompt_tokens, tokens))
    yield DONE


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
