"""From the fields of an entry to what they mean. Pure.

Typed, and in C where that can be: a million entries pass here at some 2 µs each; json.loads alone would take 3.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tuneloop_contracts.record import Feedback, Record
from tuneloop_trainer.curate.example import EntryId

Flat = Sequence[bytes]
"""Names and values in turn, as Redis sends them."""

_NAMES = tuple(Record("", "", "", "", "", "", "", False, "gen", "", 0, 0, 0).to_fields())
GENERATED = [name.encode() for name in _NAMES]
"""The names of an answer's fields, in the order in which our server writes them."""

_messages: Callable[[bytes], tuple[dict[str, Any], ...]] = msgspec.json.Decoder(tuple[dict[str, Any], ...]).decode
_number: Callable[[bytes], int] = msgspec.json.Decoder(int).decode


class Sent(msgspec.Struct, frozen=True, gc=False):
    """An entry as Redis sent it, decoded each time that somebody asks: once, or never."""

    key: bytes
    flat: Flat

    @property
    def at(self) -> EntryId:
        return entry_id(self.key)

    @property
    def record(self) -> Record | None:
        return record_of(self.flat)


def record_of(flat: Flat) -> Record | None:
    """None for an entry that is not one of ours."""
    try:
        return _generated(flat[1::2]) if flat[::2] == GENERATED else Record.from_fields(texts(flat))
    except (ValueError, KeyError, RecursionError):  # what msgspec raises, and what is not UTF-8, is a ValueError too
        return None


def feedback_of(flat: Flat) -> Feedback | None:
    try:
        return Feedback.from_fields(texts(flat))
    except (ValueError, KeyError):
        return None


def texts(flat: Flat) -> dict[str, str]:
    """Raises ValueError for what is not UTF-8."""
    names = _NAMES if flat[::2] == GENERATED else map(bytes.decode, flat[::2])
    return dict(zip(names, map(bytes.decode, flat[1::2]), strict=True))


def entry_id(key: bytes) -> EntryId:
    milliseconds, _, number = key.partition(b"-")
    return int(milliseconds), int(number)


def id_bytes(at: EntryId) -> bytes:
    return b"%d-%d" % at


def _generated(values: Flat) -> Record:
    _, one, conversation, user, tenant, model, revision, domain, tag, source, finish, ms, prompt, completion, messages, answer = values
    fields = (
        one.decode(), conversation.decode(), user.decode(), tenant.decode(), model.decode(), revision.decode(), domain.decode(),
        tag == b"1", source.decode(), finish.decode(), _number(ms), _number(prompt), _number(completion), _messages(messages),
        answer.decode(), "",
    )  # fmt: skip
    return tuple.__new__(Record, fields)  # past its own __new__, a call in Python, which costs as much as decoding all the short fields
