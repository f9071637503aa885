"""What this pod knows of the entries: vectors and questions by partition, the oldest first to go. No answers: those stay in Redis."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tuneloop_server.semcache.embed.base import Vectors
from tuneloop_server.semcache.index import VectorIndex

CAPACITY = 200_000
"""Entries a pod holds, of some 1.2 kB each: 240 MB. What is over makes the oldest go, from this pod only."""


@dataclass(frozen=True)
class Entry:
    id: str
    """Of its place in Redis."""
    partition: str
    question: str
    vector: Vectors
    origin: str
    """The interaction that it was generated in."""
    expires: float
    """Seconds since the epoch; from the write, and never later."""


class _Slot(NamedTuple):
    key: int
    entry_id: str
    partition: str
    question: str
    origin: str
    expires: float


class Candidate(NamedTuple):
    id: str
    question: str
    similarity: float


class Shelf:
    def __init__(self, now: Callable[[], float], capacity: int = CAPACITY) -> None:
        self._now = now
        self._capacity = capacity
        self._indexes: dict[str, VectorIndex] = {}
        self._slots: dict[int, _Slot] = {}
        """By key, in the order of writing, which is the order of expiry."""
        self._keys: dict[str, int] = {}
        self._by_origin: dict[str, str] = {}
        self._next_key = 0

    def __len__(self) -> int:
        return len(self._slots)

    def put(self, entry: Entry) -> None:
        """An entry that is here already stays as it is; one that has expired does not come in."""
        if entry.id in self._keys or entry.expires <= self._now():
            return
        self._next_key += 1
        slot = _Slot(self._next_key, entry.id, entry.partition, entry.question, entry.origin, entry.expires)
        index = self._indexes.setdefault(entry.partition, VectorIndex(len(entry.vector)))
        index.add([slot.key], entry.vector[None])
        self._slots[slot.key] = slot
        self._keys[entry.id] = slot.key
        if entry.origin:
            self._by_origin[entry.origin] = entry.id
        self._make_room()

    def remove(self, entry_id: str) -> None:
        key = self._keys.pop(entry_id, None)
        if key is None:
            return
        slot = self._slots.pop(key)
        self._by_origin.pop(slot.origin, None)
        index = self._indexes[slot.partition]
        index.remove(key)
        if not len(index):
            del self._indexes[slot.partition]

    @property
    def partitions(self) -> int:
        return len(self._indexes)

    def candidates(self, partition: str, vector: Vectors, count: int) -> list[Candidate]:
        """The nearest questions that have not expired, the nearest first."""
        self._make_room()
        index = self._indexes.get(partition)
        found = index.nearest(vector, count) if index else []
        return [Candidate(self._slots[near.key].entry_id, self._slots[near.key].question, near.similarity) for near in found]

    def of_origin(self, interaction: str) -> str | None:
        """The entry that was generated in this interaction."""
        return self._by_origin.get(interaction)

    def _make_room(self) -> None:
        while self._slots:
            oldest = next(iter(self._slots.values()))
            if oldest.expires > self._now() and len(self._slots) <= self._capacity:
                return
            self.remove(oldest.entry_id)
