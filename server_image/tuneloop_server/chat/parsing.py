"""A request body, parsed once: what follows from it alone, whoever sent it and whatever is served."""

import hashlib
from dataclasses import dataclass

from tuneloop_server.body import parse
from tuneloop_server.cache.control import CacheControl
from tuneloop_server.cache.key import request_digest
from tuneloop_server.cache.lru import LruCache
from tuneloop_server.chat.protocol import AnswerRequest, ChatRequest
from tuneloop_server.engine.base import Message, Sampling

MEMORY = 8 * 2**20
"""Bytes of bodies that are remembered as parsed."""
GROWTH = 8
"""Bytes that a parsed request takes for each of its body's, roughly: texts are kept several times, as parsed."""


@dataclass(frozen=True)
class ParsedRequest:
    request: AnswerRequest
    messages: tuple[Message, ...]
    sampling: Sampling
    texts: tuple[str, ...]
    """What the user wrote, turn by turn."""
    digest: str
    """Equal for equal requests, in whatever form (see cache.key)."""

    @classmethod
    def of(cls, request: AnswerRequest, most_tokens: int) -> "ParsedRequest":
        messages, sampling = request.turns(), request.sampling(most_tokens)
        return cls(request, messages, sampling, request.user_texts(), request_digest(messages, sampling))

    def repeatable(self, control: CacheControl) -> bool:
        """Whether an equal request may get an equal answer. A sampled one only if its client names an age (`Cache-Control: max-age=N`,
        above 0: browsers send that to get something fresh); an empty last text asks for nothing that could be recognised."""
        asked_for = self.sampling.deterministic or bool(control.max_age)
        return asked_for and bool(self.messages[-1].content.strip())


class RequestParser:
    """Remembers requests by their bytes, but only what the protocol accepted: a body that it refuses is refused each time, and a repeated
    one is answered without parsing it or building a model again."""

    def __init__(self, most_tokens: int) -> None:
        self._most_tokens = most_tokens
        self._memory: LruCache[ParsedRequest] = LruCache(MEMORY)

    def parse(self, body: bytes) -> ParsedRequest:
        """Raises BadRequest."""
        digest = hashlib.sha256(body).digest()
        known = self._memory.get(digest)
        if known is None:
            known = ParsedRequest.of(parse(body, ChatRequest), self._most_tokens)
            self._memory.put(digest, known, GROWTH * len(body))
        return known
