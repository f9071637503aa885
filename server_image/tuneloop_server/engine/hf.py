"""The embedded engine: a transformers model in this process, with PEFT's adapters beside it, decoding on one worker thread."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import jinja2
import safetensors.torch
import torch

from tuneloop_server.background import Throttle, in_background
from tuneloop_server.engine.base import (
    PROBE_TEXT,
    QUEUE_PER_ROW,
    RETRY_AFTER,
    AdapterWeights,
    Answer,
    BaseFacts,
    Generation,
    Piece,
    Pressure,
    Sampling,
)
from tuneloop_server.engine.loading import LoadedModel
from tuneloop_server.engine.probe import Probe
from tuneloop_server.engine.row import Row
from tuneloop_server.engine.scheduler import Scheduler
from tuneloop_server.engine.slots import Adapter, Slots
from tuneloop_server.engine.worker import Worker
from tuneloop_server.errors import BadRequest, PromptTooLong, TryLater

T = TypeVar("T")


class HfEngine:
    """An Engine (see base)."""

    def __init__(self, loaded: LoadedModel, max_batch: int, threads: int | None = None) -> None:
        """`threads`: of the worker, while every other thread computes by itself from now on; None leaves them all as they are.

        OpenMP's threads wait for their next piece of work by spinning, but only while there are no more of them than cores. Were another
        thread to have a pool too, if only because it loaded the model, all would go to sleep between any two products, of which a step
        has thousands: with two threads, steps took 1.3 times as long, and with adapters, whose products are small, 1.6 times.
        """
        self._tokenizer = loaded.tokenizer
        self._vocabulary = loaded.vocabulary
        self._facts = loaded.facts
        self._slots = Slots(loaded.model, max_batch + 1)  # one for the prompt that is read meanwhile
        self._worker = Worker(Scheduler(loaded.model, self._slots, max_batch))
        self._max_waiting = QUEUE_PER_ROW * max_batch
        self._rows: set[Row] = set()
        self._reader = ThreadPoolExecutor(1, "tokenizer")
        """A long prompt takes half a second to split; a tokenizer serves one thread at a time; and nothing else may fill this pool."""
        self._worker.start()
        if threads:
            self._worker.call(lambda: _compute_with(threads)).result()
            torch.set_num_threads(1)  # what threads that are yet to begin go by
        prompt = self._encode(PROBE_TEXT)
        self._probe = self._worker.call(lambda: Probe(loaded.model, self._slots, prompt)).result()  # sums depend on how many threads add

    @property
    def facts(self) -> BaseFacts:
        return self._facts

    @property
    def ready(self) -> bool:
        return not self.broken

    @property
    def broken(self) -> bool:
        return not self._worker.is_alive()

    def on_lost(self, tell: Callable[[str], None]) -> None:
        """What is in this process is there until it is unloaded."""

    async def generate(self, request: Generation) -> Answer:
        if self.pressure().waiting >= self._max_waiting:
            raise TryLater("too many requests are waiting; try again in a moment", retry_after=RETRY_AFTER)
        prompt = await asyncio.get_running_loop().run_in_executor(self._reader, self._prompt, request)
        room = self._facts.context - len(prompt)
        if room < 1:
            raise PromptTooLong(
                f"the prompt has {len(prompt)} tokens; with an answer, this model reads at most {self._facts.context}",
                param="prompt" if request.bare else "messages",
            )
        answer = HfAnswer(len(prompt), self._rows)
        row = Row(prompt, _within(request, room), request.adapter, self._vocabulary, answer.emit)
        self._worker.submit(row)
        answer.start(row)
        return answer

    async def load(self, handle: str, adapter: AdapterWeights) -> float:
        read = await in_background(lambda throttle: self._read(adapter, throttle), self.pressure)
        try:
            await self._between_steps(lambda: self._slots.add(handle, read))
            return await self._between_steps(lambda: self._probe.max_delta(handle, self._worker.go_on))
        except BaseException:
            await self.unload(handle)
            raise

    async def unload(self, handle: str) -> None:
        await self._between_steps(lambda: self._slots.remove(handle))

    def pressure(self) -> Pressure:
        rows = tuple(self._rows)
        running = sum(row.started for row in rows)
        return Pressure(running, len(rows) - running)

    def close(self) -> None:
        self._worker.close()
        self._reader.shutdown()

    def _read(self, adapter: AdapterWeights, throttle: Throttle) -> Adapter:
        tensors = safetensors.torch.load(adapter.weights)
        throttle()
        return self._slots.read(adapter.config, tensors, throttle)

    async def _between_steps(self, work: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._worker.call(work))

    def _prompt(self, request: Generation) -> list[int]:
        if request.bare:
            return self._encode(request.messages[0].content)
        turns = [{"role": message.role, "content": message.content} for message in request.messages]
        try:
            text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        except jinja2.TemplateError as error:
            raise BadRequest(f"the model's chat template refuses these messages: {error}", param="messages") from error
        return self._encode(text)

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


class HfAnswer:
    """The event loop's end of a Row."""

    def __init__(self, prompt_tokens: int, rows: set[Row]) -> None:
        self._prompt_tokens = prompt_tokens
        self._rows = rows
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[Piece | Exception] = asyncio.Queue()
        self._row: Row | None = None

    @property
    def prompt_tokens(self) -> int:
        return self._prompt_tokens

    def start(self, row: Row) -> None:
        self._row = row
        self._rows.add(row)

    def emit(self, piece: Piece | Exception) -> None:
        """On the worker's thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, piece)

    async def pieces(self) -> AsyncIterator[Piece]:
        try:
            while True:
                piece = await self._arrived.get()
                if isinstance(piece, Exception):
                    raise piece
                yield piece
                if piece.finish:
                    return
        finally:
            self.cancel()

    def cancel(self) -> None:
        if self._row:
            self._row.cancelled = True
            self._rows.discard(self._row)


def _within(request: Generation, room: int) -> Sampling:
    return replace(request.sampling, max_tokens=min(request.sampling.max_tokens, room))


def _compute_with(threads: int) -> None:
    """In this thread."""
    torch.set_num_threads(threads)
    torch.get_num_threads()  # or the thread would take what is set last, at its first product
