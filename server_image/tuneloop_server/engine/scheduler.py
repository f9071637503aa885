"""Who is decoded next: rows that wait, the prompts being read, those being decoded."""

import logging
from collections.abc import Sequence

import torch
from transformers.cache_utils import DynamicCache

from tuneloop_server.engine.batch import Batch, Decoding, SingleRow
from tuneloop_server.engine.kv import fits_rows
from tuneloop_server.engine.prefill import Prefill
from tuneloop_server.engine.row import BatchRow, Row
from tuneloop_server.engine.sampling import Sampler
from tuneloop_server.engine.slots import Model, Slots
from tuneloop_server.engine.waiting import WaitQueue
from tuneloop_server.errors import GenerationFailed

log = logging.getLogger(__name__)

PREFILL_TOKENS = 512
"""Prompt tokens read per turn (about a second on two cores for 135M parameters): the longest that other rows wait for a prompt."""


class Scheduler:
    def __init__(self, model: Model, slots: Slots, max_rows: int) -> None:
        self._model, self._slots, self._max_rows = model, slots, max_rows
        self._together = slots.tells_rows and fits_rows(DynamicCache(config=model.config))
        """Whether rows may share a pass of this model."""
        self._waiting = WaitQueue()
        self._prefill: Prefill | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._batch = Batch(self._model, self._slots, self._max_rows)
        self._single_rows: list[SingleRow] = []

    def add(self, row: Row) -> None:
        self._waiting.add(row)

    @property
    def idle(self) -> bool:
        return not (self._waiting or self._prefill or self._rows)

    def turn(self) -> None:
        """Read some of the waiting prompts, then one token for every running row. Whoever is over leaves first, and at the end."""
        self._let_go()
        budget = PREFILL_TOKENS
        while budget > 0 and (prefill := self._next_prefill()):
            budget -= prefill.advance(budget)
            if prefill.done:
                self._admit(prefill)
                self._prefill = None  # not before: until it is admitted, a failure is its own
        for decoding in self._decoding:
            decoding.step()
        self._let_go()

    def fail(self, error: Exception) -> None:
        """Give up every row that has begun: their state is lost, and may be half made. Those that wait have none yet."""
        begun = [entry for decoding in self._decoding for entry in decoding.entries] + (self._prefill.entries if self._prefill else [])
        for entry in dict.fromkeys(begun):  # one that was just being admitted is in both
            entry.row.fail(error)
            self._slots.give_back(entry.slot)
        self._prefill = None
        self._begin_anew()

    def abandon(self, error: Exception) -> None:
        self.fail(error)
        while row := self._waiting.pop():
            row.fail(error)

    @property
    def _decoding(self) -> list[Decoding]:
        return [*([self._batch] if self._batch.entries else []), *self._single_rows]

    @property
    def _rows(self) -> list[Row]:
        return [entry.row for decoding in self._decoding for entry in decoding.entries]

    def _next_prefill(self) -> Prefill | None:
        if self._prefill is None and (rows := self._next_rows()):
            self._prefill = self._begin(rows)
        return self._prefill

    def _begin(self, rows: Sequence[Row]) -> Prefill | None:
        """None when they cannot: nobody else's state is touched yet, so only they fail."""
        if not (entries := [entry for row in rows if (entry := self._entry_of(row))]):
            return None
        try:
            return Prefill(entries, self._model, self._slots)
        except Exception as error:
            for entry in entries:
                self._slots.give_back(entry.slot)
                _refuse(entry.row, error)
            if isinstance(error, torch.AcceleratorError):
                raise  # nobody will do better
            return None

    def _entry_of(self, row: Row) -> BatchRow | None:
        """None where its adapter has no slot: rows that begin with it are not to blame."""
        row.started = True
        try:
            return BatchRow(row, Sampler(row.sampling), self._slots.take(row.adapter))
        except Exception as error:
            _refuse(row, error)
            return None

    def _next_rows(self) -> list[Row]:
        """As many as there is room for and as one part of a turn can read, padding included; of long prompts, one."""
        rows: list[Row] = []
        room = self._max_rows - len(self._rows)

        def fits(row: Row) -> bool:
            longest = max(len(other.prompt) for other in (*rows, row))
            return not rows or (self._together and longest * (len(rows) + 1) <= PREFILL_TOKENS)

        while len(rows) < room and (row := self._waiting.pop(fits)):
            rows.append(row)
        return rows

    def _admit(self, prefill: Prefill) -> None:
        if self._together:
            self._batch.join(prefill)
        else:
            self._single_rows.append(SingleRow(self._model, self._slots, prefill))

    def _let_go(self) -> None:
        if self._prefill and self._prefill.over:
            self._prefill.give_back()
            self._prefill = None
        for decoding in self._decoding:
            for entry in decoding.leave():
                self._slots.give_back(entry.slot)
        self._single_rows = [one for one in self._single_rows if one.entries]


def _refuse(row: Row, error: Exception) -> None:
    log.error("a prompt could not be begun: %s", type(error).__name__)
    row.fail(GenerationFailed("the model failed on this request"))
