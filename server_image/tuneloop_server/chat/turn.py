"""One request on its way, from the door to the record. Values; what is done with them is in service."""

import time
from dataclasses import dataclass, field

from tuneloop_contracts.record import Record
from tuneloop_server.adapters.entry import Held
from tuneloop_server.cache.service import Stored
from tuneloop_server.chat.protocol import ChatRequest
from tuneloop_server.engine.base import Generation
from tuneloop_server.routing import Decision

BASE = "base"
"""What X-Adapter and the record say when no adapter answered."""


@dataclass(frozen=True)
class Caller:
    """What the headers say."""

    tenant: str
    tag: str = ""
    """X-Domain."""
    conversation: str = ""
    """X-Conversation-Id."""
    record: bool = True
    """False with `X-Record: no`: nothing of this request is kept for training."""


@dataclass(frozen=True)
class Turn:
    id: str
    """The interaction's, which feedback may name; also the completion's."""
    request: ChatRequest
    caller: Caller
    conversation: str
    user: str
    """Hidden already."""
    decision: Decision
    held: Held | None
    """The adapter that answers; None: the base."""
    generation: Generation
    key: str | None
    """Of the cache; None when this request may not use it."""
    created: int
    """Seconds since the epoch."""
    began: float = field(default_factory=time.monotonic)

    @property
    def revision(self) -> str:
        return self.held.revision if self.held else BASE

    @property
    def cache_label(self) -> str:
        """Of X-Cache, without a hit."""
        return "miss" if self.key else "bypass"

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def release(self) -> None:
        if self.held:
            self.held.release()

    def to_record(self, answer: Stored, *, cached: bool) -> Record:
        """A cache hit that repeats a recorded interaction says only which one."""
        return Record(
            id=self.id, conversation=self.conversation, user=self.user, tenant=self.caller.tenant,
            model=self.request.model, revision=self.revision, domain=self.decision.domain, tagged=self.decision.tagged,
            source="cache" if cached else "gen", finish=answer.finish, milliseconds=int(1000 * self.seconds),
            prompt_tokens=answer.prompt_tokens, completion_tokens=answer.completion_tokens,
            messages=tuple({"role": message.role, "content": message.content} for message in self.generation.messages),
            answer=answer.text, origin=answer.origin if cached else "",
        )  # fmt: skip
