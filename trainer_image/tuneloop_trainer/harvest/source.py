"""The record of one target in Redis: what there is, its entries by window, its feedback.

A window is read by the ids of the entries, which are the server's clock, up to the last one that was there when the harvest began;
so a retried pod reads the same, and nothing in Redis changes. What was there then and is gone when it is read is counted, never
passed over.
"""

import heapq
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import starmap
from operator import attrgetter
from typing import Any, NamedTuple, cast

import redis

from tuneloop_contracts.dataset import StreamRead
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.record import Feedback, days_between, erased_key, feedback_stream, meta_key, record_stream
from tuneloop_trainer.curate.example import EntryId
from tuneloop_trainer.errors import TryLater
from tuneloop_trainer.harvest.decode import StreamEntry, entry_id, feedback_of, id_bytes
from tuneloop_trainer.harvest.key_types import must_hold, number_of, shards_of
from tuneloop_trainer.harvest.pages import Page, newest_first
from tuneloop_trainer.harvest.retry import RetryPolicy


class Watermark(NamedTuple):
    """A stream as it was when the harvest began."""

    added: int
    """Entries ever added, but for those of people who are to be forgotten."""
    last: EntryId
    """The watermark: what came after it is the next harvest's."""


Watermarks = dict[str, Watermark]
"""Each stream that exists."""
State = dict[str, Any]
"""What Redis says of a stream."""


@dataclass
class Source:
    """One target's streams over [start, end), newest first."""

    client: "redis.Redis"
    retry: RetryPolicy
    target: str
    start: datetime
    end: datetime
    streams: list[StreamRead] = field(default_factory=list, init=False)
    """What was read of each, as far as `entries` was read."""
    _erased_before: dict[str, int] = field(default_factory=dict, init=False)
    """Of each record stream, when the watermarks were read."""

    @property
    def lost(self) -> int:
        """Entries of the window that were there once and could not be read."""
        return sum(stream.lost for stream in self.streams)

    def shards(self) -> int:
        """0 where the server has not recorded anything yet. Raises NeedsEdit for what is no number of shards."""
        key = meta_key(self.target)
        self._must_hold("hash", [key])
        return shards_of(self.target, self.retry.call(lambda: cast("bytes | None", self.client.hget(key, "shards"))))

    def read_watermarks(self, shards: int) -> Watermarks:
        """Every record stream of the window that exists, before the first is read."""
        days = days_between(self.start, self.end)
        names = [record_stream(self.target, shard, day) for day in days for shard in range(shards)]
        self._must_hold("stream", names)
        self._must_hold("hash", sorted(set(map(erased_key, names))))
        states, erased = self._states(names), self._erased(names)
        self._erased_before = dict(zip(names, erased, strict=True))
        return _watermarks(names, states, erased)

    def watermarks_of(self, names: list[str]) -> Watermarks:
        return _watermarks(names, self._states(names), self._erased(names))

    def entries(self, watermarks: Watermarks) -> Generator[StreamEntry]:
        """By falling id, the shards of a day merged. Whoever has enough closes it; only what was read counts then.

        Raises TryLater (DATA_LOST) when a stream that had a watermark is gone before it was read to its end.
        """
        for day in reversed(days_between(self.start, self.end)):
            yield from merged([self._window(name, watermark) for name, watermark in watermarks.items() if day_of(name) == day])

    def feedback(self, shards: int, now: datetime) -> dict[str, Feedback]:
        """By interaction, the newest wins; oldest first. Read up to now: people may judge after the window's end."""
        streams = feedback_streams(self.target, shards, self.start, now)
        self._must_hold("stream", streams)
        every = (page for name in streams for page in newest_first(self.client, self.retry, name, b"-", b"+"))
        return newest_of((entry_id(key), feedback_of(flat)) for page in every for key, flat in page)

    def still_there(self, name: str, watermark: Watermark) -> None:
        """Raises TryLater (DATA_LOST) where a stream is not the one whose watermark was read."""
        state = self._state(name)
        if not state or state["entries-added"] < watermark.added:
            raise _data_lost(f"the stream of {day_of(name)}")

    def confirm(self, shards: int) -> None:
        """At the end: is this still the Redis that the harvest began with?"""
        if shards and not self.shards():
            raise _data_lost("the target's own key")

    def forgot_somebody(self) -> bool:
        """Since the watermarks were read: they may have been read before."""
        names = list(self._erased_before)
        return self._erased(names) != [self._erased_before[name] for name in names]

    def _window(self, name: str, watermark: Watermark) -> Generator[StreamEntry]:
        start, end = milliseconds(self.start), milliseconds(self.end)
        last = b"%d" % (end - 1) if watermark.last[0] >= end else id_bytes(watermark.last)
        before, read = self._state(name), StreamTally()
        try:
            for page in newest_first(self.client, self.retry, name, b"%d" % start, last):
                read.add(page)
                yield from starmap(StreamEntry, page)
        except GeneratorExit:  # nobody wants more
            self.streams.append(read.of(name, lost=0))
            raise
        self.still_there(name, watermark)
        self.streams.append(read.of(name, lost=self._missing(name, before, watermark, read.count)))

    def _missing(self, name: str, before: State | None, watermark: Watermark, read: int) -> int:
        """Entries of the window that were trimmed from a stream, before the harvest or under its hands.

        Of a stream whose whole day is in the window all must come. Of another only the oldest go, by trimming: while it still reaches
        back to the window's start, nothing is missing.
        """
        if self.start.astimezone(UTC).date() < day_of(name) < self.end.astimezone(UTC).date():
            return max(0, watermark.added - read)
        if before is None:
            return 0
        first = before["first-entry"]
        reaches_back = bool(first) and entry_id(first[0])[0] <= milliseconds(self.start)
        return 0 if reaches_back else max(0, int(before["entries-added"] - before["length"]) - self._erased([name])[0])

    def _state(self, name: str) -> State | None:
        return self._states([name])[0]

    def _states(self, names: list[str]) -> list[State | None]:
        """XINFO STREAM of each, in one round trip; None where there is no such key."""

        def ask() -> list[State | None]:
            with self.client.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.xinfo_stream(name)
                return [_state_of(reply) for reply in pipeline.execute(raise_on_error=False)]

        return self.retry.call(ask)

    def _erased(self, names: list[str]) -> list[int]:
        """How many entries of each stream were taken out because somebody is to be forgotten: these are not lost."""

        def ask() -> list[int]:
            with self.client.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.hget(erased_key(name), name)
                return [number_of(erased_key(name), name, count) for name, count in zip(names, pipeline.execute(), strict=True)]

        return self.retry.call(ask)

    def _must_hold(self, kind: str, keys: list[str]) -> None:
        self.retry.call(lambda: must_hold(self.client, kind, keys))


def _watermarks(names: list[str], states: list[State | None], erased: list[int]) -> Watermarks:
    return {
        name: Watermark(state["entries-added"] - gone, entry_id(state["last-generated-id"]))
        for name, state, gone in zip(names, states, erased, strict=True)
        if state
    }


@dataclass
class StreamTally:
    """What was read of one stream, newest first."""

    count: int = 0
    first: bytes = b""
    last: bytes = b""

    def add(self, page: Page) -> None:
        if page:
            self.count += len(page)
            self.first, self.last = page[-1][0], self.last or page[0][0]

    def of(self, stream: str, lost: int) -> StreamRead:
        return StreamRead(name=stream, first=self.first.decode(), last=self.last.decode(), count=self.count, lost=lost)


def merged(shards: Sequence[Generator[StreamEntry]]) -> Generator[StreamEntry]:
    """Of one day, by falling id. Most targets have one: every generator that an entry goes through costs as much as a field."""
    return shards[0] if len(shards) == 1 else _by_falling_id(shards)


def _by_falling_id(shards: Sequence[Generator[StreamEntry]]) -> Generator[StreamEntry]:
    """Closes them all."""
    try:
        yield from heapq.merge(*shards, key=attrgetter("at"), reverse=True)
    finally:
        for shard in shards:
            shard.close()


def feedback_streams(target: str, shards: int, start: datetime, now: datetime) -> list[str]:
    return [feedback_stream(target, shard, day) for day in days_between(start, now) for shard in range(shards)]


def newest_of(every: Iterable[tuple[EntryId, Feedback | None]]) -> dict[str, Feedback]:
    """By interaction, the newest word on it; oldest first."""
    newest: dict[str, tuple[EntryId, Feedback]] = {}
    for at, said in every:
        if said and (said.id not in newest or newest[said.id][0] < at):
            newest[said.id] = (at, said)
    return {key: said for key, (_, said) in sorted(newest.items(), key=lambda item: item[1][0])}


def _state_of(reply: Any) -> State | None:
    """Redis 6 does not count what was added: its length stands in. Raises what else Redis may have answered."""
    if isinstance(reply, redis.ResponseError) and "no such key" in str(reply):
        return None
    if isinstance(reply, Exception):
        raise reply
    state = {key.decode() if isinstance(key, bytes) else key: value for key, value in reply.items()}
    return {"entries-added": state["length"], **state}


def day_of(stream: str) -> date:
    return datetime.strptime(stream.rsplit(":", 1)[-1], "%Y%m%d").date()


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _data_lost(what: str) -> TryLater:
    return TryLater(
        FaultReason.DATA_LOST,
        f"{what} was in Redis when the harvest began and is gone: it was flushed or evicted; check maxmemory-policy and persistence, "
        "then make a new job",
    )
