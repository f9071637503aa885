"""Writes the record in the background: a request hands its entry over and goes on."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from tuneloop_contracts.record import SCHEMA, Feedback, Record, feedback_stream, meta_key, record_stream
from tuneloop_server.link import Away, Link

log = logging.getLogger(__name__)

SHARD = 0
QUEUE = 2000
"""Entries that wait for Redis; at some kilobytes each, a few megabytes. What comes on top is dropped and counted."""
BATCH = 100
"""Entries written in one round trip."""
TIMEOUT = 1.0
"""Seconds for one round trip; nobody waits for it."""
PAUSE = 0.5
"""Seconds until a batch that Redis did not take is tried again."""

COUNT_PREFIX = "n:"
"""Of the meta hash's fields that count examples by domain."""

Entry = Record | Feedback


class Recorder:
    """An entry may be written twice, when Redis took it and the reply was lost: the harvest drops the second by its id."""

    def __init__(
        self,
        link: Link,
        target: str,
        retention: timedelta,
        on_written: Callable[[int], None],
        on_dropped: Callable[[int], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._link = link
        self._target = target
        self._retention = retention
        self._on_written = on_written
        self._on_dropped = on_dropped
        self._now = now
        self._queue: asyncio.Queue[Entry] = asyncio.Queue(QUEUE)
        self._batch: list[Entry] = []
        """Taken from the queue, not yet known to be in Redis."""

    def put(self, entry: Entry) -> bool:
        """Never blocks and never raises; False when it had to be dropped."""
        try:
            self._queue.put_nowait(entry)
        except asyncio.QueueFull:
            self._on_dropped(1)
            return False
        return True

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if not self._batch:
                self._batch = [await self._queue.get()]
            await self._write_or_pause()

    async def flush(self, seconds: float) -> None:
        """At the end, after `run` was cancelled: what still waits, for at most this long; the rest is dropped and counted."""
        try:
            async with asyncio.timeout(seconds):
                while self._batch or not self._queue.empty():
                    await self._write_or_pause()
        except TimeoutError:
            left = len(self._batch) + self._queue.qsize()
            log.warning("%d entries of the record could not be written", left)
            self._on_dropped(left)

    async def _write_or_pause(self) -> None:
        while len(self._batch) < BATCH and not self._queue.empty():
            self._batch.append(self._queue.get_nowait())
        try:
            await self._link.run(self._write)
        except Away:
            await asyncio.sleep(PAUSE)
            return
        self._on_written(len(self._batch))
        self._batch = []

    async def _write(self, redis: Redis) -> None:
        """One round trip, into the stream of the day on which Redis takes it, since its id says that day. The meta hash comes along
        each time, so that a Redis that was flushed is whole again at once."""
        pipe = redis.pipeline(transaction=False)
        pipe.hset(meta_key(self._target), mapping={"shards": "1", "schema": SCHEMA})
        day = self._now().date()
        for entry in self._batch:
            pipe.xadd(self._stream(entry, day), dict[Any, Any](entry.to_fields()))
            if isinstance(entry, Record) and not entry.origin:  # a hit is no new example
                pipe.hincrby(meta_key(self._target), f"{COUNT_PREFIX}{entry.domain}", 1)
        for stream in {self._stream(entry, day) for entry in self._batch}:
            pipe.expireat(stream, expiry(day, self._retention))
        await pipe.execute()

    def _stream(self, entry: Entry, day: date) -> str:
        name = record_stream if isinstance(entry, Record) else feedback_stream
        return name(self._target, SHARD, day)


def expiry(day: date, retention: timedelta) -> datetime:
    """When a day's stream goes: its last entry is then as old as the retention. Pure."""
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC) + retention
