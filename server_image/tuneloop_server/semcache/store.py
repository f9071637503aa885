"""The entries in Redis: one stream that holds them, tells other pods of new ones, and forgets the old.

    tuneloop:sem:{<target>}              stream; an entry's id is its position and says when it was written
        key partition question vector answer finish ptok ctok     key: of the request (see cache.key); vector: float16, base64
        forget                                                    the key of a request whose answer was wrong
    tuneloop:sem:{<target>}:denied:<key>   what it made is neither given nor kept while this is there

An entry does not say which interaction it was generated in: a hit is recorded with its own question, and not as a repetition of
another, or what users say of the answer to one question would be held against the other.
"""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from redis.asyncio import Redis

from tuneloop_contracts.answers import FORGET_FIELD, KEY_FIELD, semantic_stream
from tuneloop_server.cache.tiers import FORGET_SECONDS, FinishedAnswer, Lookup
from tuneloop_server.circuit import CircuitBreaker
from tuneloop_server.semcache.entries import CachedQuestion
from tuneloop_vectors.words import Vectors

PAGE = 50
"""Entries read in one round trip; requests wait while they are put into the index, some 30 ms."""
BLOCK_MILLISECONDS = 1000
"""Milliseconds that one wait for changes takes at most."""
LONGEST_STREAM = 1_000_000
"""Entries; what Redis holds of one target at most, whatever the traffic."""


@dataclass(frozen=True)
class Deletion:
    key: str


class EntryStore:
    """Every method raises RedisUnavailable."""

    def __init__(self, breaker: CircuitBreaker, target: str, ttl: int) -> None:
        self._breaker = breaker
        self._stream = semantic_stream(target)
        self._ttl = ttl

    async def add(self, partition: str, lookup: Lookup, vector: Vectors, answer: FinishedAnswer) -> CachedQuestion | None:
        """None when the request is denied. Trims what has expired on the way."""
        fields: dict[Any, Any] = {
            KEY_FIELD: lookup.key, "partition": partition, "question": lookup.question, "vector": _packed(vector), "answer": answer.text,
            "finish": answer.finish, "ptok": answer.prompt_tokens, "ctok": answer.completion_tokens,
        }  # fmt: skip

        async def write(redis: Redis) -> str | None:
            if await redis.exists(self._denied(lookup.key)):
                return None
            written = str(await redis.xadd(self._stream, fields, maxlen=LONGEST_STREAM, approximate=True))
            pipe = redis.pipeline(transaction=False)
            pipe.xtrim(self._stream, minid=_millis(written) - 1000 * self._ttl, approximate=True)
            pipe.expire(self._stream, self._ttl)
            await pipe.execute()
            return written

        entry_id = await self._breaker.run(write)
        return self._entry(entry_id, fields) if entry_id else None

    async def fetch(self, key: str, entry_id: str) -> FinishedAnswer | None:
        """None when it was forgotten, even if the news of that has not come here yet, or it was trimmed."""

        async def read(redis: Redis) -> Any:
            pipe = redis.pipeline(transaction=False)
            pipe.xrange(self._stream, entry_id, entry_id)
            pipe.exists(self._denied(key))
            return await pipe.execute()

        found, denied = await self._breaker.run(read)
        if not found or denied:
            return None
        fields = found[0][1]
        tokens = int(fields["ptok"]), int(fields["ctok"])
        return FinishedAnswer(fields["answer"], fields["finish"], *tokens, origin="", written=_millis(entry_id) / 1000)

    async def forget(self, key: str, entry_id: str | None) -> None:
        """What this request made is taken from every pod, and none is kept for as long as an entry lives. `entry_id`: where it is, if
        that is known."""

        async def deny(redis: Redis) -> None:
            pipe = redis.pipeline(transaction=False)
            pipe.set(self._denied(key), "", ex=self._ttl)
            pipe.xadd(self._stream, {FORGET_FIELD: key})
            pipe.expire(self._stream, self._ttl)
            if entry_id:
                pipe.xdel(self._stream, entry_id)
            await pipe.execute()

        await self._breaker.run(deny, patience=FORGET_SECONDS)

    async def changes(self, after: str) -> AsyncIterator[tuple[str, CachedQuestion | Deletion | None]]:
        """What was written after that position, a page at most; waits a moment when there is nothing. None: unreadable, as from a newer
        version."""

        async def read(redis: Redis) -> Any:
            return await redis.xread({self._stream: after}, count=PAGE, block=BLOCK_MILLISECONDS)

        found = await self._breaker.run(read)
        streams = found.values() if isinstance(found, dict) else [messages for _, messages in found or []]
        for messages in streams:
            for entry_id, fields in messages:
                yield entry_id, self._read(entry_id, fields)

    def _read(self, entry_id: str, fields: dict[Any, Any]) -> CachedQuestion | Deletion | None:
        try:
            return Deletion(fields[FORGET_FIELD]) if FORGET_FIELD in fields else self._entry(entry_id, fields)
        except (KeyError, ValueError):
            return None

    def _entry(self, entry_id: str, fields: dict[Any, Any]) -> CachedQuestion:
        return CachedQuestion(
            key=fields[KEY_FIELD], id=entry_id, partition=fields["partition"], question=fields["question"],
            vector=_unpacked(fields["vector"]), expires=_millis(entry_id) / 1000 + self._ttl,
        )  # fmt: skip

    def _denied(self, key: str) -> str:
        return f"{self._stream}:denied:{key}"


def _millis(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])


def _packed(vector: Vectors) -> str:
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()


def _unpacked(text: str) -> Vectors:
    return np.frombuffer(base64.b64decode(text), dtype="<f2").astype(np.float32)
