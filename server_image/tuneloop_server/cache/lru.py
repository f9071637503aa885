"""A cache of what was used last, bounded in bytes."""

from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class LruCache(Generic[V]):
    """A mapping that evicts the least recently used when it holds more than `limit` bytes, by the sizes it is told."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[str | bytes, tuple[V, int]] = OrderedDict()
        self.size = 0

    def get(self, key: str | bytes) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: str | bytes, value: V, size: int) -> None:
        """One that alone is over the limit is not kept."""
        self.drop(key)
        self._entries[key] = (value, size)
        self.size += size
        while self.size > self._limit:
            _, (_, freed) = self._entries.popitem(last=False)
            self.size -= freed

    def drop(self, key: str | bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry:
            self.size -= entry[1]

    def clear(self) -> None:
        self._entries.clear()
        self.size = 0
