"""Writes the record in the background: a request hands its entry over and goes on."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from redis.asyncio import Redis

from tuneloop_contracts.record import SCHEMA, Feedback, Record, count_field, feedback_stream, meta_key, record_stream, repeats_key
from tuneloop_server.circuit import CircuitBreaker, RedisUnavailable

log = logging.getLogger(__name__)

SHARD = 0
QUEUE = 2000
"""Entries that wait for Redis; at some kilobytes each, a few megabytes. What comes on top is dropped and counted."""
QUEUE_BYTES = 64 * 2**20
"""The same in bytes, for contexts that are long: 2,000 of them would be a gigabyte."""
BATCH = 100
"""Entries written at once."""
BATCH_BYTES = 2**20
"""After which no more go along: what Redis cannot take within TIMEOUT would be tried again for ever, and hold up all that follows."""
GATHER = 0.02
"""Seconds from the first entry of a batch to its writing: under load a batch is then some dozens, and a round trip costs each little."""
COUNT_EVERY = 1.0
"""Seconds that repetitions are counted here before Redis is told."""
TIMEOUT = 1.0
"""Seconds for one round trip; nobody waits for it."""
PAUSE = 0.5
"""Seconds until a batch that Redis did not take is tried again."""

WRITE = """
for _, entry in ipairs(cjson.decode(ARGV[2])) do
  local stream, fields = KEYS[entry[1]], entry[2]
  redis.call('XADD', stream, '*', unpack(fields))
  redis.call('EXPIREAT', stream, ARGV[1])
end
"""
"""A batch as one command with one argument: packing and reading a command for each entry took the client 60 µs, a fifth of an exact hit.
KEYS: the day's record, the day's feedback; both in one slot of a cluster. ARGV: expiry, entries as [index of its KEY, fields]."""

COUNT = """
for id, times in pairs(cjson.decode(ARGV[2])) do redis.call('HINCRBY', KEYS[1], id, times) end
redis.call('EXPIREAT', KEYS[1], ARGV[1])
"""
"""KEYS: the day's hash of repetitions. ARGV: expiry, {interaction: times}."""

Entry = Record | Feedback


class EncodedEntry(NamedTuple):
    """An entry as Redis will get it."""

    counted: str
    """The field of the meta hash that it adds one to; "" for none."""
    text: bytes
    """An element of WRITE's list."""


class Recorder:
    """An entry may be written twice, when Redis took it and the reply was lost: the harvest drops the second by its id. Repetitions may
    then be counted twice, too."""

    def __init__(
        self,
        breaker: CircuitBreaker,
        target: str,
        retention: timedelta,
        on_written: Callable[[int], None],
        on_dropped: Callable[[int], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._breaker = breaker
        self._target = target
        self._retention = retention
        self._on_written = on_written
        self._on_dropped = on_dropped
        self._now = now
        self._queue: asyncio.Queue[EncodedEntry] = asyncio.Queue(QUEUE)
        self._waiting = 0
        """Bytes in the queue and the batch."""
        self._batch: list[EncodedEntry] = []
        """Taken from the queue, not yet known to be in Redis."""
        self._repeats: Counter[str] = Counter()
        """By interaction, not yet known to be in Redis."""

    def put(self, entry: Entry) -> bool:
        """Never blocks and never raises; False when it had to be dropped."""
        encoded = encode_entry(entry)
        if self._queue.full() or self._waiting + len(encoded.text) > QUEUE_BYTES:
            self._on_dropped(1)
            return False
        self._queue.put_nowait(encoded)
        self._waiting += len(encoded.text)
        return True

    def count(self, interaction: str) -> None:
        """It was given again. As `put`, but that some dozens of bytes are kept for each interaction, however often it comes."""
        if len(self._repeats) < QUEUE or interaction in self._repeats:
            self._repeats[interaction] += 1
        else:
            self._on_dropped(1)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._list())
            group.create_task(self._count())

    async def _list(self) -> None:
        while True:
            if not self._batch:
                self._batch = [await self._queue.get()]
                if self._queue.qsize() < BATCH:
                    await asyncio.sleep(GATHER)
            await self._write_or_pause()

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(COUNT_EVERY)
            if self._repeats:
                await self._count_or_pause()

    async def flush(self, seconds: float) -> None:
        """At the end, after `run` was cancelled: what still waits, for at most this long; the rest is dropped and counted."""
        try:
            async with asyncio.timeout(seconds):
                while self._batch or not self._queue.empty():
                    await self._write_or_pause()
                while self._repeats:
                    await self._count_or_pause()
        except TimeoutError:
            left = len(self._batch) + self._queue.qsize() + self._repeats.total()
            log.warning("%d entries of the record could not be written", left)
            self._on_dropped(left)

    async def _write_or_pause(self) -> None:
        room = BATCH_BYTES - _size(self._batch)
        while len(self._batch) < BATCH and room > 0 and not self._queue.empty():
            self._batch.append(self._queue.get_nowait())
            room -= len(self._batch[-1].text)
        try:
            await self._breaker.run(self._write)
        except RedisUnavailable:
            await asyncio.sleep(PAUSE)
            return
        self._on_written(len(self._batch))
        self._waiting -= _size(self._batch)
        self._batch = []

    async def _count_or_pause(self) -> None:
        told = self._repeats.copy()
        try:
            await self._breaker.run(lambda redis: self._tell(redis, told))
        except RedisUnavailable:
            await asyncio.sleep(PAUSE)
            return
        self._on_written(told.total())
        self._repeats -= told

    async def _tell(self, redis: Redis, repeats: Counter[str]) -> None:
        day = self._now().date()
        await redis.register_script(COUNT)([repeats_key(self._target, SHARD, day)], [self._expires(day), _encode(repeats)])

    def _expires(self, day: date) -> int:
        return int(expiry(day, self._retention).timestamp())

    async def _write(self, redis: Redis) -> None:
        """Into the stream of the day on which Redis takes it, since its id says that day; then the meta hash, which another node may
        hold. It is written each time, so that a Redis that was flushed is whole again at once."""
        day = self._now().date()
        keys = [record_stream(self._target, SHARD, day), feedback_stream(self._target, SHARD, day)]
        await redis.register_script(WRITE)(keys, [self._expires(day), b"[%b]" % b",".join(encoded.text for encoded in self._batch)])
        pipe = redis.pipeline(transaction=False)
        pipe.hset(meta_key(self._target), mapping={"shards": "1", "schema": SCHEMA})
        for field, times in Counter(encoded.counted for encoded in self._batch if encoded.counted).items():
            pipe.hincrby(meta_key(self._target), field, times)
        await pipe.execute()


def encode_entry(entry: Entry) -> EncodedEntry:
    """Pure."""
    is_record = isinstance(entry, Record)
    counted = count_field(entry.domain) if isinstance(entry, Record) and not entry.origin else ""  # a hit is no new example
    fields = [text for field in entry.to_fields().items() for text in field]
    return EncodedEntry(counted, _encode([1 if is_record else 2, fields]).encode())


def _size(entries: list[EncodedEntry]) -> int:
    return sum(len(entry.text) for entry in entries)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def expiry(day: date, retention: timedelta) -> datetime:
    """When a day's stream goes: its last entry is then as old as the retention. Pure."""
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC) + retention
