"""Writes the record in the background: a request hands its entry over and goes on."""

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from redis.asyncio import Redis

from tuneloop_contracts.record import SCHEMA, Feedback, Record, feedback_stream, meta_key, record_stream
from tuneloop_server.link import Away, Link

log = logging.getLogger(__name__)

SHARD = 0
QUEUE = 2000
"""Entries that wait for Redis; at some kilobytes each, a few megabytes. What comes on top is dropped and counted."""
BATCH = 100
"""Entries written in one round trip."""
GATHER = 0.02
"""Seconds from the first entry of a batch to its writing: under load a batch is then some dozens, and a round trip costs each little."""
TIMEOUT = 1.0
"""Seconds for one round trip; nobody waits for it."""
PAUSE = 0.5
"""Seconds until a batch that Redis did not take is tried again."""

COUNT_PREFIX = "n:"
"""Of the meta hash's fields that count examples by domain."""

WRITE = """
redis.call('HSET', KEYS[1], 'shards', '1', 'schema', ARGV[1])
for _, entry in ipairs(cjson.decode(ARGV[3])) do
  local stream, counted, fields = KEYS[entry[1]], entry[2], entry[3]
  redis.call('XADD', stream, '*', unpack(fields))
  redis.call('EXPIREAT', stream, ARGV[2])
  if counted ~= '' then redis.call('HINCRBY', KEYS[1], counted, 1) end
end
"""
"""A batch as one command with one argument: packing and reading a command for each entry took the client 60 µs, a fifth of an exact hit.
KEYS: the meta hash, the day's record, the day's feedback. ARGV: schema, expiry, entries as [index of its KEY, field to count, fields]."""

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
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        self._batch: list[bytes] = []
        """Taken from the queue, not yet known to be in Redis."""

    def put(self, entry: Entry) -> bool:
        """Never blocks and never raises; False when it had to be dropped."""
        try:
            self._queue.put_nowait(to_line(entry))
        except asyncio.QueueFull:
            self._on_dropped(1)
            return False
        return True

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if not self._batch:
                self._batch = [await self._queue.get()]
                if self._queue.qsize() < BATCH:
                    await asyncio.sleep(GATHER)
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
        day = self._now().date()
        keys = [meta_key(self._target), record_stream(self._target, SHARD, day), feedback_stream(self._target, SHARD, day)]
        expires = int(expiry(day, self._retention).timestamp())
        await redis.register_script(WRITE)(keys, [SCHEMA, expires, b"[%b]" % b",".join(self._batch)])


def to_line(entry: Entry) -> bytes:
    """One element of WRITE's list, as JSON. Pure."""
    is_record = isinstance(entry, Record)
    counted = f"{COUNT_PREFIX}{entry.domain}" if isinstance(entry, Record) and not entry.origin else ""  # a hit is no new example
    fields = [text for field in entry.to_fields().items() for text in field]
    return _encode([2 if is_record else 3, counted, fields]).encode()


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def expiry(day: date, retention: timedelta) -> datetime:
    """When a day's stream goes: its last entry is then as old as the retention. Pure."""
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC) + retention
