"""What this pod knows of the entries: vectors and questions by partition, the oldest first to go. No answers: those stay in Redis."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tuneloop_server.semcache.index import VectorIndex
from tuneloop_vectors.words import Vectors

CAPACITY = 200_000
"""Entries a pod holds, of some 1.2 kB each: 240 MB. What is over makes the oldest go, from this pod only."""


@dataclass(frozen=True)
class CachedQuestion:
    key: str
    """Of the request that made it (see cache.key): a newer answer to the same request takes its place."""
    id: str
    """Of its position in Redis."""
    partition: str
    question: str
    vector: Vectors
    expires: float
    """Seconds since the epoch; from the write, and never later."""


_IndexKey = tuple[str, int]
"""A partition, and the dimensions of its vectors: an embedder that is somebody else's may be given another model under its URL."""


class _IndexedEntry(NamedTuple):
    key: str
    id: str
    index_key: _IndexKey
    question: str
    expires: float


class Candidate(NamedTuple):
    key: str
    id: str
    question: str
    similarity: float


class EntryIndex:
    def __init__(self, now: Callable[[], float], capacity: int = CAPACITY) -> None:
        self._now = now
        self._capacity = capacity
        self._indexes: dict[_IndexKey, VectorIndex] = {}
        self._entries: dict[int, _IndexedEntry] = {}
        """By number, in the order of writing, which is the order of expiry."""
        self._numbers: dict[str, int] = {}
        """By key."""
        self._last_number = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: CachedQuestion) -> None:
        """An entry that is here already stays as it is; one that has expired does not come in."""
        known = self._entries.get(self._numbers.get(entry.key, 0))
        if (known and known.id == entry.id) or entry.expires <= self._now():
            return
        self.remove(entry.key)
        self._last_number += 1
        index_key = (entry.partition, len(entry.vector))
        index = self._indexes.setdefault(index_key, VectorIndex())
        index.add([self._last_number], entry.vector[None])
        self._entries[self._last_number] = _IndexedEntry(entry.key, entry.id, index_key, entry.question, entry.expires)
        self._numbers[entry.key] = self._last_number
        self._make_room()

    def remove(self, key: str) -> str | None:
        """The id of what this request had made; None if it is not here."""
        number = self._numbers.pop(key, None)
        if number is None:
            return None
        entry = self._entries.pop(number)
        index = self._indexes[entry.index_key]
        index.remove(number)
        if not len(index):
            del self._indexes[entry.index_key]
        return entry.id

    @property
    def partitions(self) -> int:
        return len(self._indexes)

    def candidates(self, partition: str, vector: Vectors, count: int) -> list[Candidate]:
        """The nearest questions that have not expired, the nearest first."""
        self._make_room()
        index = self._indexes.get((partition, len(vector)))
        found = [(self._entries[neighbour.key], neighbour.similarity) for neighbour in index.nearest(vector, count)] if index else []
        return [Candidate(entry.key, entry.id, entry.question, similarity) for entry, similarity in found]

    def _make_room(self) -> None:
        while self._entries:
            oldest = next(iter(self._entries.values()))
            if oldest.expires > self._now() and len(self._entries) <= self._capacity:
                return
            self.remove(oldest.key)
