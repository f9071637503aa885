"""What a key of another's cache holds, and what can be made of it. Pure.

A layout is a function that looks at one key. It says None if the key is not laid out so, else gives what it found, or raises
Unusable with the reason that people read in the job's status.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

NO_PROMPT = "not harvestable: no prompt"
"""The layout keeps answers under a digest of what was asked."""
PICKLED = "not harvestable: pickled"
NOT_TEXT = "not harvestable: neither text nor JSON"
TOO_LARGE = "not harvestable: too large"
NO_ANSWER = "no answer"
DELETED = "deleted"
OTHER_LAYOUT = "another layout"

LARGEST = 4 * 2**20
"""Bytes of one field that are looked at: no conversation that fits into a training row has a hundredth of it."""
PICKLE_MAGIC = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))

Message = dict[str, JsonValue]
"""As OpenAI's: `{"role", "content"}`, and `tool_calls` where there were some."""

USER, ASSISTANT = "user", "assistant"
ROLES = {"human": USER, "user": USER, "ai": ASSISTANT, "llm": ASSISTANT, "assistant": ASSISTANT, "AIMessageChunk": ASSISTANT}
"""Roles by what libraries call them; others keep their name."""


class Unusable(Exception):
    """The key is laid out as expected, but nothing can be learned from it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Exchange:
    """What was asked and what was answered."""

    messages: tuple[Message, ...]
    answer: str
    at: float | None = None
    """Unix time in seconds, where the layout knows it."""
    tenant: str = ""
    user: str = ""
    """The name, not yet hashed."""
    session: str = ""
    finish: str = "stop"


@dataclass(frozen=True)
class HistoryMessage:
    """One message of a history that keeps them apart."""

    session: str
    message: Message
    at: float | None = None
    place: int = 0
    """Among messages of the same time."""


Imported = tuple[Exchange | HistoryMessage, ...]

JSON_KIND = "ReJSON-RL"
"""What TYPE says of a JSON document."""


@dataclass(frozen=True)
class RedisValue:
    """One key of Redis."""

    key: str
    kind: str
    """As TYPE says: `hash`, `list`, `string`, JSON_KIND."""
    fields: Mapping[str, bytes] = field(default_factory=dict)
    """Of a hash."""
    items: tuple[bytes, ...] = ()
    """Of a list, in its order."""
    value: bytes = b""
    """Of a string; of a JSON document, its text."""

    def has(self, *names: str) -> bool:
        return all(name in self.fields for name in names)

    def text(self, name: str) -> str:
        return text_of(self.fields[name])

    def seconds(self, *names: str) -> float | None:
        """The first of these fields that is a time."""
        return next((at for name in names if name in self.fields and (at := seconds_of(self.text(name))) is not None), None)


Layout = Callable[[RedisValue], Imported | None]


def text_of(raw: bytes) -> str:
    """Raises Unusable for what is no text: a pickle is recognised, never read."""
    if raw.startswith(PICKLE_MAGIC):
        raise Unusable(PICKLED)
    if len(raw) > LARGEST:
        raise Unusable(TOO_LARGE)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Unusable(NOT_TEXT) from None


def json_of(text: str) -> JsonValue:
    """Raises Unusable for what is no JSON, or holds half of a surrogate pair: no dataset could be written with it."""
    try:
        value: JsonValue = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Unusable(NOT_TEXT) from None
    return value


def seconds_of(value: object) -> float | None:
    """A time in seconds, if it is one."""
    try:
        at = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):  # the last of a whole number of 400 digits, which JSON may hold
        return None
    return at if math.isfinite(at) and 0 < at < 1e11 else None


def mapping(value: JsonValue) -> dict[str, JsonValue]:
    """The value if it is a JSON object, else an empty one: what is looked for in it is then missing."""
    return value if isinstance(value, dict) else {}


def sequence(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def question(text: str) -> tuple[Message, ...]:
    return ({"role": USER, "content": text},)
