"""One generation for all who ask the same at the same time.

A generation runs in a task of its own, so it outlives the client that began it; it is cancelled when its last subscriber has left. One
that fails with several subscribers is tried once more, for all of them together: neither do they all fail with it, nor does each ask anew.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from tuneloop_server.cache.tiers import FinishedAnswer, Hit
from tuneloop_server.engine.base import Piece
from tuneloop_server.errors import ApiError, GenerationFailed, Unavailable, may_go_better, without_texts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GenerationStart:
    """What is known before the first piece."""

    prompt_tokens: int
    hit: Hit | None = None
    """None: it is being generated."""


class SharedGeneration:
    """What has come so far is kept, so that a late subscriber misses nothing."""

    def __init__(self, work: "Work", on_over: Callable[[], None] = lambda: None) -> None:
        self._work = work
        self._on_over = on_over
        self._start: GenerationStart | None = None
        self._answer: FinishedAnswer | None = None
        self._pieces: list[Piece] = []
        self._delivered: list[Piece] = []
        """By a try that failed: subscribers have it, so the next one must begin alike."""
        self._error: Exception | None = None
        self._over = False
        self._subscribers = self._ever_subscribed = 0
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def begin(self, start: GenerationStart) -> None:
        """By the work, once in each try."""
        self._start = start
        self._notify()

    def add(self, piece: Piece, answer: FinishedAnswer | None = None) -> None:
        """By the work; the last piece comes with the whole answer. Raises GenerationFailed when an earlier try has told something else."""
        place = len(self._pieces)
        if self._delivered[place : place + 1] not in ([], [piece]):
            raise GenerationFailed("the model failed on this request")
        self._pieces.append(piece)
        self._answer = answer
        self._notify()

    @property
    def answer(self) -> FinishedAnswer:
        """Once the last piece is there."""
        if self._answer is None:
            raise RuntimeError("the answer has not come to its end")
        return self._answer

    def deliver_hit(self, hit: Hit) -> None:
        """By the work, instead of `begin` and `add`: an answer from before."""
        self.begin(GenerationStart(hit.answer.prompt_tokens, hit))
        self.add(Piece(hit.answer.text, hit.answer.completion_tokens, hit.answer.finish), hit.answer)

    def subscribe(self) -> None:
        self._subscribers += 1
        self._ever_subscribed += 1

    def when_done(self, call: Callable[[], None]) -> None:
        """When the work has ended, however it did; also if it never began."""
        self._task.add_done_callback(lambda _: call())

    def unsubscribe(self) -> None:
        """Once for each `subscribe`."""
        self._subscribers -= 1
        if not self._subscribers and not self._over:
            self._end()
            self._task.cancel()

    async def start(self) -> GenerationStart:
        """Raises what the work raised."""
        while self._start is None:
            await self._more()
        return self._start

    async def pieces(self) -> AsyncIterator[Piece]:
        """From the first to the last. Raises what the work raised, after the pieces that came before it."""
        given = 0
        while True:
            while given < len(self._pieces):
                yield self._pieces[given]
                given += 1
            if self._answer:
                return
            await self._more()

    async def _more(self) -> None:
        if self._error:
            raise self._error
        await self._changed.wait()

    async def _run(self) -> None:
        try:
            await self._try_twice()
        except asyncio.CancelledError:
            self._error = Unavailable("the answer was broken off")
            raise
        except ApiError as error:  # is every subscriber's
            self._error = error
        except Exception as error:
            log.error("a generation broke: unexpected %s", without_texts(error))
            self._error = GenerationFailed("the model failed on this request")
        finally:
            self._end()

    async def _try_twice(self) -> None:
        """The second time for the followers: who asks alone gets the error at once, and may ask again."""
        try:
            await self._once()
        except Exception as error:
            if self._ever_subscribed == 1 or not may_go_better(error):
                raise
            self._delivered, self._pieces = self._pieces, []
            await self._once()

    async def _once(self) -> None:
        """Raises also when the work just stops: subscribers wait for a last piece."""
        await self._work(self)
        if self._answer is None:
            raise GenerationFailed("the model failed on this request")

    def _end(self) -> None:
        """Nobody joins from now on."""
        if not self._over:
            self._over = True
            self._on_over()
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


Work = Callable[[SharedGeneration], Awaitable[None]]
"""Calls `deliver_hit`; or `begin`, then `add` for each piece."""


class SharedGenerations:
    """Those under way, by what they answer."""

    def __init__(self) -> None:
        self._by_key: dict[object, SharedGeneration] = {}

    def join(self, key: object | None, work: Work) -> tuple[SharedGeneration, bool]:
        """(the generation, whether it is a new one that does this work); subscribed already. Without a key nobody else ever joins."""
        generation = self._by_key.get(key) if key is not None else None
        leads = generation is None
        if generation is None:
            generation = SharedGeneration(work, lambda: self._forget(key))
            if key is not None:
                self._by_key[key] = generation
        generation.subscribe()
        return generation, leads

    def _forget(self, key: object) -> None:
        self._by_key.pop(key, None)
