"""What the server writes to Redis of each interaction, and the harvest reads back.

Day streams, apart from the answer cache, namespaced by target. A record is an entry in one of two forms, which may lie in one stream:

    1  for whoever records by hand: flat, in any order, `v` and `tag` may be missing
       v id conv user tenant model revision domain tag(1|0) src(gen|cache) finish ms ptok ctok msgs(JSON, [{"role", "content"}]) ans
    2  what the server writes: one field, `v2`, a JSON array of what Record holds, in its order; what has a default may be missing

The second is read in a third of the time: Redis and its client take as long for a field as for a hundred bytes. Feedback is flat.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

FLAT, SCHEMA = "1", "2"
COMPACT = "v2"
"""The one field of a record of that schema."""
DEFAULT_RETENTION = timedelta(days=35)
"""How long a day stream is kept: the 30-day window of a job, and five days in which to run it."""
DEFAULT_TENANT = "default"
"""Whose everything is where nobody tells tenants apart."""
RECORD_KIND, FEEDBACK_KIND = "rec", "fb"
META_PATTERN = "tuneloop:*:meta"
"""SCAN pattern that finds every target of a Redis."""
COUNT_PREFIX = "n:"
"""Of the fields of a target's meta hash that count records by domain."""


def stream_of(kind: str, target: str, shard: int, day: date) -> str:
    """The stream of one UTC day; `target` is `<namespace>/<name>`. The braces keep a shard in one Redis Cluster slot."""
    return f"tuneloop:{{{target}:{shard}}}:{kind}:{day:%Y%m%d}"


def record_stream(target: str, shard: int, day: date) -> str:
    return stream_of(RECORD_KIND, target, shard, day)


def feedback_stream(target: str, shard: int, day: date) -> str:
    return stream_of(FEEDBACK_KIND, target, shard, day)


def streams_pattern(target: str) -> str:
    """SCAN pattern that finds both kinds of streams of a target."""
    return f"tuneloop:{{{target}:*}}:*:????????"


def kind_of(stream: str) -> str:
    return stream.rsplit(":", 2)[1]


def erased_key(stream: str) -> str:
    """A hash of the stream's shard: how many entries were taken out of each stream because somebody is to be forgotten."""
    return f"{stream.rsplit(':', 2)[0]}:erased"


def repeats_key(target: str, shard: int, day: date) -> str:
    """A hash: how often each interaction was given again from the cache that UTC day, by its id."""
    return f"tuneloop:{{{target}:{shard}}}:{day:%Y%m%d}:hits"


def repeats_pattern(target: str) -> str:
    """SCAN pattern that finds these hashes of a target."""
    return f"tuneloop:{{{target}:*}}:????????:hits"


def day_of(key: str) -> str:
    """YYYY-MM-DD, of a stream or of such a hash."""
    day = key.split(":")[-2 if key.endswith(":hits") else -1]
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def meta_key(target: str) -> str:
    """A hash: `shards` and `schema`, written by the server before its first record; and for each domain the records so far."""
    return f"tuneloop:{target}:meta"


def count_field(domain: str) -> str:
    return f"{COUNT_PREFIX}{domain}"


def counts_in(meta: Mapping[str, str]) -> dict[str, int]:
    """Records so far by domain, from all fields of a target's meta hash."""
    return {field.removeprefix(COUNT_PREFIX): int(value) for field, value in meta.items() if field.startswith(COUNT_PREFIX)}


def target_of_meta(key: str) -> str:
    return key.removeprefix("tuneloop:").removesuffix(":meta")


def days_between(start: datetime, end: datetime) -> list[date]:
    """Every UTC day that holds a moment of [start, end]."""
    first, last = start.astimezone(UTC).date(), end.astimezone(UTC).date()
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def user_hash(key: bytes, tenant: str, user: str) -> str:
    """What stands for a user in every record: the same person of the same tenant is the same hash; "" stays "". `key`: the salt."""
    return hmac.digest(key, f"user {tenant} {user}".encode(), hashlib.sha256).hex()[:24] if user else ""


class Record(NamedTuple):
    """One answered request. One that repeats another carries `origin`, the interaction it repeats, instead of messages and answer; what
    the cache gives again is not listed, but counted under `repeats_key`.

    A tuple, since a harvest makes a million of them: a frozen dataclass takes five times as long. Its order is that of schema 2.
    """

    id: str
    conversation: str
    user: str
    """A keyed hash, never the name."""
    tenant: str
    model: str
    """What the client asked for."""
    revision: str
    """The adapter revision that answered; `base` without one."""
    domain: str
    tagged: bool
    """True if the client named the domain (model name or X-Domain), false if the router chose it."""
    source: str
    """`gen` or `cache`."""
    finish: str
    milliseconds: int
    prompt_tokens: int
    completion_tokens: int
    messages: tuple[dict[str, Any], ...] = ()
    answer: str = ""
    origin: str = ""

    def to_fields(self) -> dict[str, str]:
        """Of schema 2."""
        return {COMPACT: _json(self._replace(messages=(), answer="") if self.origin else self)}


@dataclass(frozen=True)
class Feedback:
    """What a user said of an answer; joined to its record at harvest, the newest one wins."""

    id: str
    """The interaction's id."""
    rating: str
    """`up` or `down`."""
    correction: str = ""
    """The answer that should have been given; it is what gets trained."""
    by: str = ""
    """Keyed hash of the user."""
    comment: str = ""
    """For people; never trained on."""

    def to_fields(self) -> dict[str, str]:
        fields = {"v": FLAT, "id": self.id, "rating": self.rating, "correction": self.correction, "by": self.by}
        return fields | ({"comment": self.comment} if self.comment else {})

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> "Feedback":
        return cls(fields["id"], fields["rating"], fields.get("correction", ""), fields.get("by", ""), fields.get("comment", ""))


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
