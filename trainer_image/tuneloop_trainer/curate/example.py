"""What one entry of the record offers to learn from."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property, lru_cache
from typing import NamedTuple, Protocol

from pydantic import JsonValue

from tuneloop_contracts.record import Feedback, Record
from tuneloop_trainer.curate.similarity import Question, question_of
from tuneloop_trainer.rows import Message

EntryId = tuple[int, int]
"""Redis' own: milliseconds, and a number within them. Grows with time."""


class Recorded(Protocol):
    """One entry of a record stream, however it was read; `record` is None if it is not one of ours."""

    @property
    def at(self) -> EntryId: ...

    @property
    def record(self) -> Record | None: ...


class Entry(NamedTuple):
    """One that is at hand, decoded."""

    at: EntryId
    record: Record | None


class Judgement(IntEnum):
    """What people said of an answer; the greater is the better to learn from."""

    NONE = 0
    LIKED = 1
    CORRECTED = 2


@dataclass(frozen=True)
class Example:
    id: str
    at: EntryId
    conversation: str
    user: str
    """A keyed hash; "" is an anonymous one."""
    domain: str
    messages: tuple[Message, ...]
    """The prompt; the last one is the user's."""
    answer: str
    judgement: Judgement
    by: str = ""
    """Who judged it: a keyed hash, "" if nobody said."""
    weight: float = 1.0
    redacted: tuple[str, ...] = ()
    """The kind of each thing that was taken out."""
    golden: bool = False
    """Its question is in the golden set of its domain: it is held out again, or dropped, and never learned."""

    @property
    def question(self) -> str:
        return self.messages[-1]["content"]

    @property
    def system(self) -> str:
        return "\n".join(message["content"] for message in self.messages if message["role"] == "system")

    @cached_property
    def asked(self) -> Question:
        """Compared in every piece that it is settled with, and again by the split."""
        return question_of(self.messages)

    @property
    def people(self) -> tuple[str, ...]:
        """Whose words it holds: who asked, and who wrote the answer in the model's stead."""
        corrector = self.by if self.judgement is Judgement.CORRECTED else ""
        return tuple(filter(None, (self.user, corrector)))

    @property
    def talk(self) -> str:
        """The conversation; one without a name is its own."""
        return self.conversation or self.id

    @cached_property
    def key(self) -> int:
        """The same for the same question: a hash of domain, system prompt, and what the user said up to it."""
        said = (normalised(message["content"]) for message in self.messages if message["role"] == "user")
        return hash((self.domain, normalised(self.system), *said))


def judgement_of(feedback: Feedback | None) -> Judgement:
    if feedback is None:
        return Judgement.NONE
    if feedback.correction:
        return Judgement.CORRECTED
    return Judgement.LIKED if feedback.rating == "up" else Judgement.NONE


def texts_of(record: Record) -> tuple[Message, ...] | None:
    """The messages as plain text; None if one holds something that is not (an image, a tool call)."""
    messages = [_text_of(message) for message in record.messages]
    return None if None in messages else tuple(message for message in messages if message)


@lru_cache(maxsize=4096)
def normalised(text: str) -> str:
    """What two texts have in common if only case, spacing or punctuation at the end differ."""
    return " ".join(text.split()).rstrip("?!. ").casefold()


def _text_of(message: Mapping[str, JsonValue]) -> Message | None:
    role, content = message.get("role"), plain(message.get("content"))
    role = "system" if role == "developer" else role
    if role not in ("system", "user", "assistant") or content is None or message.get("tool_calls"):
        return None
    return {"role": str(role), "content": content}


def plain(content: JsonValue) -> str | None:
    """A string, or a list of OpenAI's text parts; None for anything else."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    parts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in content]
    return None if None in parts else "".join(str(part) for part in parts)
