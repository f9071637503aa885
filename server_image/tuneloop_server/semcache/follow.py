"""Keeps this pod's shelf like the stream: all of it at the start, then what any pod writes."""

import asyncio

from tuneloop_server.circuit import RedisUnavailable
from tuneloop_server.semcache.shelf import Shelf
from tuneloop_server.semcache.store import EntryStore, Forgotten

START = "0-0"
PAUSE = 1.0
"""Seconds until a Redis that was away is asked again."""


class Follower:
    """`store` with a connection of its own, since it waits there."""

    def __init__(self, store: EntryStore, shelf: Shelf) -> None:
        self._store = store
        self._shelf = shelf
        self._place = START

    async def run(self) -> None:
        """Until cancelled. A Redis that was emptied starts a stream with later ids, so nothing of it is missed."""
        while True:
            try:
                await self.step()
            except RedisUnavailable:
                await asyncio.sleep(PAUSE)

    async def step(self) -> None:
        """One page of news. Raises RedisUnavailable."""
        async for place, news in self._store.news(self._place):
            self._place = place
            if isinstance(news, Forgotten):
                self._shelf.remove(news.key)
            elif news:
                self._shelf.put(news)
