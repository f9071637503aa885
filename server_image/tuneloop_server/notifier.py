"""Tells those who wait that this pod's report has changed."""

import asyncio


class ChangeNotifier:
    def __init__(self) -> None:
        self.revision = 1
        self._over = False
        self._next = asyncio.Event()

    def notify(self) -> None:
        self.revision += 1
        self._next.set()
        self._next = asyncio.Event()

    def end(self) -> None:
        """The pod goes away: whoever waits, or comes to wait, is let go."""
        self._over = True
        self.notify()

    async def newer_than(self, seen: int, seconds: float) -> None:
        """Returns when the revision is not `seen`, or after that time. A pod that restarted counts from the start again, so
        any other number counts as a change."""
        try:
            async with asyncio.timeout(seconds):
                while self.revision == seen and not self._over:
                    await self._next.wait()
        except TimeoutError:
            return
