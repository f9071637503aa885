"""What this pod knows of the entries: vectors and questions by partition, the oldest first to go. No answers: those stay in Redis."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tuneloop_server.semcache.index import VectorIndex
from tuneloop_vectors.words import Vectors

CAPACITY = 200_000
"""Entries a pod holds, of some 1.2 kB each: 240 MB. What is over makes the oldest go, from this pod only."""


@dataclass(frozen=True)
class Entry:
    key: str
    """Of the request that made it (see cache.key): a newer answer to the same request takes its place."""
    id: str
    """Of its place in Redis."""
    partition: str
    question: str
    vector: Vectors
    expires: float
    """Seconds since the epoch; from the write, and never later."""


_Place = tuple[str, int]
"""A partition, and the dimensions of its vectors: an embedder that is somebody else's may be given another model under its URL."""


class _Slot(NamedTuple):
    key: str
    id: str
    place: _Place
    question: str
    expires: float


class Candidate(NamedTuple):
    key: str
    id: str
    question: str
    similarity: float


class Shelf:
    def __init__(self, now: Callable[[], float], capacity: int = CAPACITY) -> None:
        self._now = now
        self._capacity = capacity
        self._indexes: dict[_Place, VectorIndex] = {}
        self._slots: dict[int, _Slot] = {}
        """By number, in the order of writing, which is the order of expiry."""
        self._numbers: dict[str, int] = {}
        """By key."""
        self._last_number = 0

    def __len__(self) -> int:
        return len(self._slots)

    def put(self, entry: Entry) -> None:
        """An entry that is here already stays as it is; one that has expired does not come in."""
        known = self._slots.get(self._numbers.get(entry.key, 0))
        if (known and known.id == entry.id) or entry.expires <= self._now():
            return
        self.remove(entry.key)
        self._last_number += 1
        place = (entry.partition, len(entry.vector))
        index = self._indexes.setdefault(place, VectorIndex())
        index.add([self._last_number], entry.vector[None])
        self._slots[self._last_number] = _Slot(entry.key, entry.id, place, entry.question, entry.expires)
        self._numbers[entry.key] = self._last_number
        self._make_room()

    def remove(self, key: str) -> str | None:
        """The id of what this request had made; None if it is not here."""
        number = self._numbers.pop(key, None)
        if number is None:
            return None
        slot = self._slots.pop(number)
        index = self._indexes[slot.place]
        index.remove(number)
        if not len(index):
            del self._indexes[slot.place]
        return slot.id

    @property
    def partitions(self) -> int:
        return len(self._indexes)

    def candidates(self, partition: str, vector: Vectors, count: int) -> list[Candidate]:
        """The nearest questions that have not expired, the nearest first."""
        self._make_room()
        index = self._indexes.get((partition, len(vector)))
        found = [(self._slots[near.key], near.similarity) for near in index.nearest(vector, count)] if index else []
        return [Candidate(slot.key, slot.id, slot.question, similarity) for slot, similarity in found]

    def _make_room(self) -> None:
        while self._slots:
            oldest = next(iter(self._slots.values()))
            if oldest.expires > self._now() and len(self._slots) <= self._capacity:
                return
            self.remove(oldest.key)
