"""OpenAI's answers on the wire, in one piece or as server-sent events. Pure, but for the pieces that come in.

data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}
data: {"choices": [{"delta": {"content": "Hello"}}]}       one for each piece with text
data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}
data: {"choices": [], "usage": {...}}                      if the client asked for it; those before then have `"usage": null`
data: [DONE]
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, ClassVar

from tuneloop_server.cache.tiers import FinishedAnswer
from tuneloop_server.engine.base import Piece
from tuneloop_server.errors import ApiError

DONE = b"data: [DONE]\n\n"

_WHOLE = (
    b'{"id":%b,"object":"chat.completion","created":%d,"model":%b,"choices":[{"index":0,"message":{"role":"assistant","content":%b},'
    b'"logprobs":null,"finish_reason":%b}],"usage":%b}'
)


@dataclass(frozen=True)
class Envelope:
    """What all parts of one answer share, and how each is written."""

    part: ClassVar[str] = "chat.completion.chunk"
    template: ClassVar[bytes] = _WHOLE

    id: str
    created: int
    model: str
    counted: bool = False
    """Whether the client asked for usage in a stream."""

    def whole(self, answer: FinishedAnswer) -> bytes:
        """The answer in one piece."""
        used = _json(usage(answer.prompt_tokens, answer.completion_tokens))
        return self.template % (_json(self.id), self.created, _json(self.model), answer.quoted, _json(answer.finish), used)

    def opening(self) -> bytes:
        return self._delta({"role": "assistant", "content": ""})

    def text(self, text: str) -> bytes:
        return self._delta({"content": text})

    def end(self, finish: str) -> bytes:
        return self._delta({}, finish)

    def closing(self, prompt_tokens: int, completion_tokens: int) -> list[bytes]:
        used = [self._event([], usage(prompt_tokens, completion_tokens))] if self.counted else []
        return [*used, DONE]

    def choice(self, **fields: Any) -> bytes:
        return self._event([{"index": 0} | fields])

    def _delta(self, delta: dict[str, str], finish: str | None = None) -> bytes:
        return self.choice(delta=delta, logprobs=None, finish_reason=finish)

    def _event(self, choices: list[dict[str, Any]], used: dict[str, int] | None = None) -> bytes:
        event = {"id": self.id, "object": self.part, "created": self.created, "model": self.model, "choices": choices}
        return _event(event | {"usage": used} if self.counted else event)


def replayed(envelope: Envelope, answer: FinishedAnswer) -> bytes:
    """The events of an answer that is there already."""
    text = [envelope.text(answer.text)] if answer.text else []
    closing = envelope.closing(answer.prompt_tokens, answer.completion_tokens)
    return b"".join([envelope.opening(), *text, envelope.end(answer.finish), *closing])


async def events(envelope: Envelope, pieces: AsyncIterator[Piece], prompt_tokens: int) -> AsyncIterator[bytes]:
    """An engine that breaks on the way ends the stream with an `error` event and no [DONE]: the status line is long gone."""
    tokens = 0
    yield envelope.opening()
    try:
        async for piece in pieces:
            tokens += piece.tokens
            if piece.text:
                yield envelope.text(piece.text)
            if piece.finish:
                yield envelope.end(piece.finish)
    except ApiError as error:
        yield _event(error.body())
        return
    for event in envelope.closing(prompt_tokens, tokens):
        yield event


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": prompt_tokens + completion_tokens}


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + _json(value) + b"\n\n"


def _json(value: object) -> bytes:
    return _encode(value).encode()


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Made once: json.dumps makes one for each call."""
