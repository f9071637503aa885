"""The record of one target in Redis: what there is, its entries by window, its feedback.

A window is read by the ids of the entries, which are the server's clock; so a retried pod reads the same, and nothing in Redis
changes. What was there when the harvest began and is gone when it is read is counted, never passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.record import Feedback, Record, days_between, feedback_stream, meta_key, record_stream
from tuneloop_trainer.curate.example import Entry, EntryId
from tuneloop_trainer.errors import NeedsEdit, TryLater
from tuneloop_trainer.harvest.patience import Patience

PAGE = 2000
"""Entries asked for at once: more is no faster, and one reply stays in the tens of megabytes even for long prompts."""
SOCKET_TIMEOUT = 30.0
CONNECT_TIMEOUT = 5.0

Fields = dict[bytes, bytes]
Stock = dict[str, int]
"""Entries ever added to each stream that exists."""


def connect(url: str) -> "redis.Redis":
    """Lazy: no connection is made yet. Retrying is Patience's, which says what it waits for."""
    try:
        return redis.Redis.from_url(
            url, socket_timeout=SOCKET_TIMEOUT, socket_connect_timeout=CONNECT_TIMEOUT, retry=Retry(NoBackoff(), 0)
        )
    except ValueError:
        pass  # its text holds the URL
    raise NeedsEdit(FaultReason.INVALID_CONFIG, "the Redis URL cannot be read: redis://[user[:password]@]host[:port][/number]")


@dataclass
class Source:
    """One target's streams over [start, end), oldest first."""

    client: "redis.Redis"
    patience: Patience
    target: str
    start: datetime
    end: datetime
    lost: int = field(default=0, init=False)
    """Entries of the window that were there once and were not read."""

    def shards(self) -> int:
        """0 where the server has not recorded anything yet."""
        meta = self.patience.call(lambda: self.client.hget(meta_key(self.target), "shards"))
        return int(cast(bytes, meta)) if meta else 0

    def take_stock(self, shards: int) -> Stock:
        """Every record stream of the window that exists, before the first is read."""
        names = [record_stream(self.target, shard, day) for day in days_between(self.start, self.end) for shard in range(shards)]
        states = {name: self._state(name) for name in names}
        return {name: state["entries-added"] for name, state in states.items() if state}

    def entries(self, stock: Stock) -> Iterator[Entry]:
        """Raises TryLater (DATA_LOST) when a stream that was in stock is gone before its end was read."""
        for name, added in stock.items():
            for at, fields in self._window(name, added):
                yield Entry(at, _record(fields))

    def feedback(self, shards: int, now: datetime) -> dict[str, Feedback]:
        """By interaction, the newest wins; oldest first. Read up to now: people may judge after the window's end."""
        newest: dict[str, tuple[EntryId, Feedback]] = {}
        for day in days_between(self.start, now):
            for shard in range(shards):
                for at, fields in self._pages(feedback_stream(self.target, shard, day), "-", "+"):
                    said = _feedback(fields)
                    if said and (said.id not in newest or newest[said.id][0] < at):
                        newest[said.id] = (at, said)
        return {key: said for key, (_, said) in sorted(newest.items(), key=lambda item: item[1][0])}

    def confirm(self, shards: int) -> None:
        """At the end: is this still the Redis that the harvest began with?"""
        if shards and not self.shards():
            raise _data_lost("the target's own key")

    def _window(self, name: str, added: int) -> Iterator[tuple[EntryId, Fields]]:
        before, read = self._state(name), 0
        for entry in self._pages(name, str(_milliseconds(self.start)), str(_milliseconds(self.end) - 1)):
            read += 1
            yield entry
        after = self._state(name)
        if not before or not after or after["entries-added"] < added:
            raise _data_lost(f"the stream of {_day_of(name)}")
        self.lost += _missing(before, read, start=_milliseconds(self.start), whole=self._is_whole(name))

    def _is_whole(self, name: str) -> bool:
        """True if the window covers the stream's whole day."""
        return self.start.astimezone(UTC).date() < _day_of(name) < self.end.astimezone(UTC).date()

    def _pages(self, name: str, first: str, last: str) -> Iterator[tuple[EntryId, Fields]]:
        while True:
            page = self.patience.call(lambda first=first: self.client.xrange(name, first, last, count=PAGE))  # type: ignore[misc]
            entries = cast("list[tuple[bytes, Fields]]", page)
            yield from ((_entry_id(key), fields) for key, fields in entries)
            if len(entries) < PAGE:
                return
            first = f"({entries[-1][0].decode()}"

    def _state(self, name: str) -> dict[str, Any] | None:
        """XINFO STREAM, or None where there is no such key. Redis 6 does not count what was added: its length stands in."""
        try:
            info = cast("dict[Any, Any]", self.patience.call(lambda: self.client.xinfo_stream(name)))
        except redis.ResponseError as error:
            if "no such key" in str(error):
                return None
            raise
        state = {key.decode() if isinstance(key, bytes) else key: value for key, value in info.items()}
        return {"entries-added": state["length"], **state}


def _missing(before: dict[str, Any], read: int, *, start: int, whole: bool) -> int:
    """Entries of the window that were trimmed from a stream, before the harvest or under its hands.

    Trimming takes the oldest: while the stream still reaches back to the window's start, nothing of the window is missing.
    """
    first = before["first-entry"]
    reaches_back = bool(first) and _entry_id(first[0])[0] <= start
    trimmed = 0 if reaches_back else before["entries-added"] - before["length"]
    return int(trimmed + (max(0, before["length"] - read) if whole else 0))


def _record(fields: Fields) -> Record | None:
    try:
        return Record.from_fields({key.decode(): value.decode() for key, value in fields.items()})
    except (ValueError, KeyError):  # not UTF-8 is a ValueError too
        return None


def _feedback(fields: Fields) -> Feedback | None:
    try:
        return Feedback.from_fields({key.decode(): value.decode() for key, value in fields.items()})
    except (ValueError, KeyError):
        return None


def _entry_id(key: bytes) -> EntryId:
    milliseconds, number = key.decode().split("-")
    return int(milliseconds), int(number)


def _day_of(stream: str) -> date:
    return datetime.strptime(stream.rsplit(":", 1)[-1], "%Y%m%d").date()


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _data_lost(what: str) -> TryLater:
    return TryLater(
        FaultReason.DATA_LOST,
        f"{what} was in Redis when the harvest began and is gone: it was flushed or evicted; check maxmemory-policy and persistence, "
        "then make a new job",
    )
