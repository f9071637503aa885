"""One request on its way, from its body to the record. Values; what is done with them is in service."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from tuneloop_contracts.record import Record
from tuneloop_server.cache.control import DEFAULT, CacheControl
from tuneloop_server.cache.tiers import FinishedAnswer, Hit, Lookup
from tuneloop_server.chat.parsing import ParsedRequest
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
    control: CacheControl = DEFAULT
    trace: Mapping[str, str] = field(default_factory=dict)
    """`traceparent` and `tracestate`, as far as they came (https://www.w3.org/TR/trace-context/)."""


@dataclass(frozen=True)
class Turn:
    id: str
    """The interaction's, which feedback may name; also the completion's."""
    parsed: ParsedRequest
    caller: Caller
    conversation: str
    user: str
    """Hidden already."""
    decision: Decision
    lookup: Lookup | None
    """None when this request may not use the cache."""
    created: int
    """Seconds since the epoch."""
    began: float = field(default_factory=time.monotonic)

    @property
    def revision(self) -> str:
        return self.decision.revision or BASE

    @property
    def reads(self) -> bool:
        """May be answered from the cache, or along with another request."""
        return self.lookup is not None and self.caller.control.read

    @property
    def share(self) -> object | None:
        """What requests have in common that one generation may answer; None: nothing."""
        return (self.lookup.key, self.caller.control.max_age) if self.lookup and self.reads else None

    def cache_label(self, hit: Hit | None) -> str:
        """Of X-Cache and the metrics."""
        return f"hit-{hit.tier}" if hit else "miss" if self.reads else "bypass"

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def to_record(self, answer: FinishedAnswer, *, repeated: bool) -> Record:
        """One that repeats a recorded interaction says only which."""
        return Record(
            id=self.id, conversation=self.conversation, user=self.user, tenant=self.caller.tenant,
            model=self.parsed.request.model, revision=self.revision, domain=self.decision.domain, tagged=self.decision.tagged,
            source="cache" if repeated else "gen", finish=answer.finish, milliseconds=int(1000 * self.seconds),
            prompt_tokens=answer.prompt_tokens, completion_tokens=answer.completion_tokens,
            messages=tuple({"role": message.role, "content": message.content} for message in self.parsed.messages),
            answer=answer.text, origin=answer.origin if repeated else "",
        )  # fmt: skip
