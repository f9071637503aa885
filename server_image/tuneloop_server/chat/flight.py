"""One generation for all who ask the same at the same time.

A flight runs in a task of its own, so it outlives the client that began it; it is called off when its last passenger has left. One that
fails with followers aboard is tried once more, for all of them together: neither do they all fail with it, nor does each ask anew.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from tuneloop_server.cache.tiers import FinishedAnswer, Hit
from tuneloop_server.engine.base import Piece
from tuneloop_server.errors import ApiError, Failed, Unavailable, may_go_better, without_texts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Head:
    """What is known before the first piece."""

    prompt_tokens: int
    hit: Hit | None = None
    """None: it is being generated."""


class Flight:
    """What has come so far is kept, so that a late passenger misses nothing."""

    def __init__(self, work: "Work", on_over: Callable[[], None] = lambda: None) -> None:
        self._work = work
        self._on_over = on_over
        self._head: Head | None = None
        self._answer: FinishedAnswer | None = None
        self._pieces: list[Piece] = []
        self._told: list[Piece] = []
        """By a try that failed: passengers have heard it, so the next one must begin alike."""
        self._error: Exception | None = None
        self._over = False
        self._passengers = self._boarded = 0
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def begin(self, head: Head) -> None:
        """By the work, once in each try."""
        self._head = head
        self._tell()

    def add(self, piece: Piece, answer: FinishedAnswer | None = None) -> None:
        """By the work; the last piece comes with the whole answer. Raises Failed when an earlier try has told something else."""
        place = len(self._pieces)
        if self._told[place : place + 1] not in ([], [piece]):
            raise Failed("the model failed on this request")
        self._pieces.append(piece)
        self._answer = answer
        self._tell()

    @property
    def answer(self) -> FinishedAnswer:
        """Once the last piece is there."""
        if self._answer is None:
            raise RuntimeError("the answer has not come to its end")
        return self._answer

    def bring(self, hit: Hit) -> None:
        """By the work, instead of `begin` and `add`: an answer from before."""
        self.begin(Head(hit.answer.prompt_tokens, hit))
        self.add(Piece(hit.answer.text, hit.answer.completion_tokens, hit.answer.finish), hit.answer)

    def board(self) -> None:
        self._passengers += 1
        self._boarded += 1

    def when_done(self, call: Callable[[], None]) -> None:
        """When the work has ended, however it did; also if it never began."""
        self._task.add_done_callback(lambda _: call())

    def leave(self) -> None:
        """Once for each `board`."""
        self._passengers -= 1
        if not self._passengers and not self._over:
            self._end()
            self._task.cancel()

    async def head(self) -> Head:
        """Raises what the work raised."""
        while self._head is None:
            await self._more()
        return self._head

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
        await self._news.wait()

    async def _run(self) -> None:
        try:
            await self._try_twice()
        except asyncio.CancelledError:
            self._error = Unavailable("the answer was broken off")
            raise
        except ApiError as error:  # is every passenger's
            self._error = error
        except Exception as error:
            log.error("a generation broke: unexpected %s", without_texts(error))
            self._error = Failed("the model failed on this request")
        finally:
            self._end()

    async def _try_twice(self) -> None:
        """The second time for the followers: who asks alone gets the error at once, and may ask again."""
        try:
            await self._once()
        except Exception as error:
            if self._boarded == 1 or not may_go_better(error):
                raise
            self._told, self._pieces = self._pieces, []
            await self._once()

    async def _once(self) -> None:
        """Raises also when the work just stops: passengers wait for a last piece."""
        await self._work(self)
        if self._answer is None:
            raise Failed("the model failed on this request")

    def _end(self) -> None:
        """Nobody joins from now on."""
        if not self._over:
            self._over = True
            self._on_over()
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


Work = Callable[[Flight], Awaitable[None]]
"""Calls `bring`; or `begin`, then `add` for each piece."""


class Flights:
    """Those under way, by what they bring."""

    def __init__(self) -> None:
        self._by_key: dict[object, Flight] = {}

    def join(self, key: object | None, work: Work) -> tuple[Flight, bool]:
        """(the flight, whether it is a new one that does this work); boarded already. Without a key nobody else ever joins."""
        flight = self._by_key.get(key) if key is not None else None
        led = flight is None
        if flight is None:
            flight = Flight(work, lambda: self._forget(key))
            if key is not None:
                self._by_key[key] = flight
        flight.board()
        return flight, led

    def _forget(self, key: object) -> None:
        self._by_key.pop(key, None)
