"""From the fields of an entry to what they mean. Pure.

In C where that can be: a million entries pass here at 1 µs each; json.loads alone would take 3.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tuneloop_contracts.record import COMPACT, Feedback, Record
from tuneloop_trainer.curate.example import EntryId

Flat = Sequence[bytes]
"""Names and values in turn, as Redis sends them."""

_COMPACT = COMPACT.encode()
_compact: Callable[[bytes], Record] = msgspec.json.Decoder(Record).decode
_messages: Callable[[str], tuple[dict[str, Any], ...]] = msgspec.json.Decoder(tuple[dict[str, Any], ...]).decode


class RecordOwner(msgspec.Struct, array_like=True, frozen=True):
    """How a record of schema 2 begins: it tells whose it is, whatever the rest is worth."""

    id: str
    conversation: str
    user: str


record_owner: Callable[[str], RecordOwner] = msgspec.json.Decoder(RecordOwner).decode
"""Raises ValueError or RecursionError for what is no such record."""


class StreamEntry(msgspec.Struct, frozen=True, gc=False):
    """An entry as Redis sent it, decoded each time that somebody asks: once, or never."""

    key: bytes
    flat: Flat

    @property
    def at(self) -> EntryId:
        return entry_id(self.key)

    @property
    def record(self) -> Record | None:
        """None for an entry that is not one of ours."""
        flat = self.flat
        try:
            return _compact(flat[1]) if flat[0] == _COMPACT else _by_hand(texts(flat))
        except (ValueError, LookupError, RecursionError):  # what msgspec raises, and what is not UTF-8, is a ValueError too
            return None


def feedback_of(flat: Flat) -> Feedback | None:
    try:
        return Feedback.from_fields(texts(flat))
    except (ValueError, KeyError):
        return None


def texts(flat: Flat) -> dict[str, str]:
    """Raises ValueError for what is not UTF-8."""
    return dict(zip(map(bytes.decode, flat[::2]), map(bytes.decode, flat[1::2]), strict=True))


def entry_id(key: bytes) -> EntryId:
    milliseconds, _, number = key.partition(b"-")
    return int(milliseconds), int(number)


def id_bytes(at: EntryId) -> bytes:
    return b"%d-%d" % at


def _by_hand(fields: Mapping[str, str]) -> Record:
    """Of schema 1. Raises ValueError or KeyError for an entry that is not one of ours."""
    return Record(
        id=fields["id"], conversation=fields["conv"], user=fields["user"], tenant=fields["tenant"], model=fields["model"],
        revision=fields["revision"], domain=fields["domain"], tagged=fields.get("tag") == "1", source=fields["src"],
        finish=fields["finish"], milliseconds=int(fields["ms"]), prompt_tokens=int(fields["ptok"]),
        completion_tokens=int(fields["ctok"]), messages=_messages(fields.get("msgs", "[]")), answer=fields.get("ans", ""),
        origin=fields.get("origin", ""),
    )  # fmt: skip
