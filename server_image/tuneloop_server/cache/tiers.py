"""What a tier of the cache is asked, and what it says."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from tuneloop_server.engine.base import Message, Sampling

FORGET_SECONDS = 2.0
"""For what a user has judged wrong to be taken away: nobody waits for an answer meanwhile."""


@dataclass(frozen=True)
class Lookup:
    """All of a request that an answer depends on, and whose it is."""

    key: str
    """Of the exact tier (see key): equal for equal requests only."""
    tenant: str
    domain: str
    """"" when the text belongs to none."""
    base_digest: str
    adapter_digest: str
    """"" for the base alone."""
    messages: tuple[Message, ...]
    sampling: Sampling

    @property
    def question(self) -> str:
        """The last message, if the user wrote it; else ""."""
        last = self.messages[-1]
        return last.content.strip() if last.role == "user" else ""


@dataclass(frozen=True)
class FinishedAnswer:
    """A finished answer; errors and broken-off ones never come here."""

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    origin: str
    """The interaction that it was generated in, and that its repetitions are recorded by; "" if that went unrecorded."""
    written: float
    """Seconds since the epoch."""

    @cached_property
    def quoted(self) -> bytes:
        """The text as a JSON string: what every repetition of it shares, made once."""
        return json.dumps(self.text, ensure_ascii=False).encode()


@dataclass(frozen=True)
class Hit:
    answer: FinishedAnswer
    tier: str
    """Of X-Cache and the metrics: `exact` or `semantic`."""
    key: str
    """Of the request that made the answer: what `forget` takes."""
    age: int
    """Seconds."""
    similarity: float | None = None
    """Cosine of the two questions, if they are not the same."""


class Tier(Protocol):
    """Fails open: what cannot be reached finds nothing and keeps nothing, and counts that by itself."""

    async def find(self, lookup: Lookup) -> Hit | None: ...

    async def put(self, lookup: Lookup, answer: FinishedAnswer) -> None: ...

    async def forget(self, key: str) -> None:
        """Remove the answer that was made under this key, here and in every other pod, and keep none under it for the time to live.
        Raises RedisUnavailable: a judgement must not be lost in silence."""
        ...
