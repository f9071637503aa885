"""Keeps this pod's index like the stream: all of it at the start, then what any pod writes."""

import asyncio

from tuneloop_server.circuit import RedisUnavailable
from tuneloop_server.semcache.entries import EntryIndex
from tuneloop_server.semcache.store import Deletion, EntryStore

START = "0-0"
PAUSE = 1.0
"""Seconds until a Redis that was away is asked again."""


class Follower:
    """`store` with a connection of its own, since it waits there."""

    def __init__(self, store: EntryStore, index: EntryIndex) -> None:
        self._store = store
        self._index = index
        self._position = START

    async def run(self) -> None:
        """Until cancelled. A Redis that was emptied starts a stream with later ids, so nothing of it is missed."""
        while True:
            try:
                await self.step()
            except RedisUnavailable:
                await asyncio.sleep(PAUSE)

    async def step(self) -> None:
        """One page of changes. Raises RedisUnavailable."""
        async for position, change in self._store.changes(self._position):
            self._position = position
            if isinstance(change, Deletion):
                self._index.remove(change.key)
            elif change:
                self._index.put(change)
