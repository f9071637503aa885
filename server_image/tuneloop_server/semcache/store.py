"""The entries in Redis: one stream that holds them, tells other pods of new ones, and forgets the old.

    tuneloop:sem:{<target>}              stream; an entry's id is its place and says when it was written
        partition question vector answer finish ptok ctok origin      vector: float16, base64
        forget                                                        the id of an entry that was wrong
    tuneloop:sem:{<target>}:denied:<h>   a question that must not be kept again until this expires
    tuneloop:sem:{<target>}:hit:<id>     interaction answered by a hit -> entry
"""

import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from redis.asyncio import Redis

from tuneloop_server.link import Link
from tuneloop_server.semcache.embed.base import Vectors
from tuneloop_server.semcache.lookup import Answer
from tuneloop_server.semcache.shelf import Entry

PAGE = 100
"""Entries read in one round trip; requests wait while they are put into the index, some 30 ms."""
PATIENCE = 1000
"""Milliseconds that one wait for news takes at most."""
LONGEST_STREAM = 1_000_000
"""Entries; what Redis holds of one target at most, whatever the traffic."""


@dataclass(frozen=True)
class Forgotten:
    id: str


class EntryStore:
    """Every method raises link.Away."""

    def __init__(self, link: Link, target: str, ttl: int) -> None:
        self._link = link
        self._stream = f"tuneloop:sem:{{{target}}}"
        self._ttl = ttl

    async def add(self, partition: str, question: str, vector: Vectors, answer: Answer) -> Entry | None:
        """None when the question is denied. Trims what has expired on the way."""
        fields: dict[Any, Any] = {
            "partition": partition, "question": question, "vector": _packed(vector), "answer": answer.text, "finish": answer.finish,
            "ptok": answer.prompt_tokens, "ctok": answer.completion_tokens, "origin": answer.origin,
        }  # fmt: skip

        async def write(redis: Redis) -> str | None:
            if await redis.exists(self._denied(partition, question)):
                return None
            written = str(await redis.xadd(self._stream, fields, maxlen=LONGEST_STREAM, approximate=True))
            pipe = redis.pipeline(transaction=False)
            pipe.xtrim(self._stream, minid=_millis(written) - 1000 * self._ttl, approximate=True)
            pipe.expire(self._stream, self._ttl)
            await pipe.execute()
            return written

        entry_id = await self._link.run(write)
        return self._entry(entry_id, fields) if entry_id else None

    async def fetch(self, entry_id: str) -> Answer | None:
        """None when another pod took it away, or it was trimmed."""

        async def read(redis: Redis) -> Any:
            return await redis.xrange(self._stream, entry_id, entry_id)

        found = await self._link.run(read)
        if not found:
            return None
        fields = found[0][1]
        tokens = int(fields["ptok"]), int(fields["ctok"])
        return Answer(fields["answer"], fields["finish"], *tokens, fields["origin"], _millis(entry_id) / 1000)

    async def remember_hit(self, interaction: str, entry_id: str) -> None:
        async def write(redis: Redis) -> None:
            await redis.set(f"{self._stream}:hit:{interaction}", entry_id, ex=self._ttl)

        await self._link.run(write)

    async def entry_of_hit(self, interaction: str) -> str | None:
        async def read(redis: Redis) -> Any:
            return await redis.get(f"{self._stream}:hit:{interaction}")

        found = await self._link.run(read)
        return str(found) if found else None

    async def forget(self, entry_id: str) -> None:
        """Away with it, in every pod, and its question is denied for as long as an entry lives."""

        async def write(redis: Redis) -> None:
            found: Any = await redis.xrange(self._stream, entry_id, entry_id)
            pipe = redis.pipeline(transaction=False)
            for _, fields in found:
                pipe.set(self._denied(fields["partition"], fields["question"]), "1", ex=self._ttl)
            pipe.xdel(self._stream, entry_id)
            pipe.xadd(self._stream, {"forget": entry_id})
            await pipe.execute()

        await self._link.run(write)

    async def news(self, after: str) -> AsyncIterator[tuple[str, Entry | Forgotten | None]]:
        """What was written after that place, a page at most; waits a moment when there is nothing. None: unreadable, as from a newer
        version."""

        async def read(redis: Redis) -> Any:
            return await redis.xread({self._stream: after}, count=PAGE, block=PATIENCE)

        found = await self._link.run(read)
        streams = found.values() if isinstance(found, dict) else [messages for _, messages in found or []]
        for messages in streams:
            for entry_id, fields in messages:
                yield entry_id, self._read(entry_id, fields)

    def _read(self, entry_id: str, fields: dict[Any, Any]) -> Entry | Forgotten | None:
        try:
            return Forgotten(fields["forget"]) if "forget" in fields else self._entry(entry_id, fields)
        except (KeyError, ValueError):
            return None

    def _entry(self, entry_id: str, fields: dict[Any, Any]) -> Entry:
        return Entry(
            id=entry_id, partition=fields["partition"], question=fields["question"], vector=_unpacked(fields["vector"]),
            origin=fields["origin"], expires=_millis(entry_id) / 1000 + self._ttl,
        )  # fmt: skip

    def _denied(self, partition: str, question: str) -> str:
        digest = hashlib.sha256(f"{partition}\n{question}".encode()).hexdigest()[:32]
        return f"{self._stream}:denied:{digest}"


def _millis(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])


def _packed(vector: Vectors) -> str:
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()


def _unpacked(text: str) -> Vectors:
    return np.frombuffer(base64.b64decode(text), dtype="<f2").astype(np.float32)
