"""Who is decoded next: rows that wait, the prompt being read, those being decoded."""

from tuneloop_server.engine.batch import Alone, Batch, Decoding
from tuneloop_server.engine.kv import fits_rows
from tuneloop_server.engine.prefill import Prefill
from tuneloop_server.engine.row import Row
from tuneloop_server.engine.slots import Model, Slots
from tuneloop_server.engine.waiting import Waiting

PREFILL_TOKENS = 512
"""Prompt tokens read per turn (about a second on two cores for 135M parameters): the longest that other rows wait for a prompt."""


class Scheduler:
    def __init__(self, model: Model, slots: Slots, max_rows: int) -> None:
        self._model, self._slots, self._max_rows = model, slots, max_rows
        self._waiting = Waiting()
        self._prefill: Prefill | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._batch = Batch(self._model, self._slots, self._max_rows)
        self._alone: list[Alone] = []

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
                self._prefill = None
                self._seat(prefill)
        for decoding in self._decoding:
            decoding.step()
        self._let_go()

    def fail(self, error: Exception) -> None:
        """Give up every row that has begun: their state is lost. Those that wait have none yet."""
        for row in self._rows:
            row.fail(error)
        if self._prefill:
            self._prefill.row.fail(error)
        self._let_go()
        self._begin_anew()

    def abandon(self, error: Exception) -> None:
        self.fail(error)
        while row := self._waiting.pop():
            row.fail(error)

    @property
    def _decoding(self) -> list[Decoding]:
        return [*([self._batch] if self._batch.seats else []), *self._alone]

    @property
    def _rows(self) -> list[Row]:
        return [seat.row for decoding in self._decoding for seat in decoding.seats]

    def _next_prefill(self) -> Prefill | None:
        if self._prefill is None and len(self._rows) < self._max_rows and (row := self._waiting.pop()):
            row.started = True
            self._prefill = Prefill(row, self._model, self._slots)
        return self._prefill

    def _seat(self, prefill: Prefill) -> None:
        if prefill.row.over:
            self._slots.give_back(prefill.slot)
        elif fits_rows(prefill.cache):
            self._batch.join(prefill)
        else:
            self._alone.append(Alone(self._model, self._slots, prefill))

    def _let_go(self) -> None:
        self._waiting.forget_cancelled()
        if self._prefill and self._prefill.row.over:
            self._slots.give_back(self._prefill.slot)
            self._prefill = None
        for decoding in self._decoding:
            for seat in decoding.leave():
                self._slots.give_back(seat.slot)
        self._alone = [one for one in self._alone if one.seats]
