"""The rows of one adapter: those that wait, the prompt being read, those being decoded."""

from collections import deque

from tuneloop_server.engine.batch import Batch, Model, Prefill, all_rows
from tuneloop_server.engine.row import Row

PREFILL_TOKENS = 512
"""Prompt tokens read per turn (about a second on two cores for 135M parameters): the longest that other rows wait for a prompt."""


class Lane:
    def __init__(self, adapter: str | None, max_rows: int) -> None:
        self.adapter = adapter
        self._max_rows = max_rows
        self._waiting: deque[Row] = deque()
        self._prefill: Prefill | None = None
        self._batches: list[Batch] = []

    def add(self, row: Row) -> None:
        self._waiting.append(row)

    @property
    def idle(self) -> bool:
        return not (self._waiting or self._prefill or self._batches)

    def turn(self, model: Model) -> None:
        """Read some of the waiting prompts, then one token for every running row."""
        self._forget_cancelled()
        budget = PREFILL_TOKENS
        while budget > 0 and (prefill := self._next_prefill(model)):
            budget -= prefill.advance(model, budget)
            if prefill.done:
                self._prefill = None
                self._admit(prefill.to_batch())
        for batch in self._batches:
            batch.step(model)
        self._forget_cancelled()

    def fail(self, error: Exception) -> None:
        """Give up every row that has begun: their state is lost. Those that wait have none yet."""
        begun = all_rows(self._batches) + ([self._prefill.row] if self._prefill else [])
        self._batches, self._prefill = [], None
        for row in begun:
            row.fail(error)

    def abandon(self, error: Exception) -> None:
        self.fail(error)
        while self._waiting:
            self._waiting.popleft().fail(error)

    def _next_prefill(self, model: Model) -> Prefill | None:
        room = len(all_rows(self._batches)) < self._max_rows
        if self._prefill is None and room and self._waiting:
            row = self._waiting.popleft()
            row.started = True
            self._prefill = Prefill(row, model)
        return self._prefill

    def _admit(self, batch: Batch) -> None:
        batch.drop_finished()
        if not batch.rows:
            return
        if self._batches and batch.can_merge:
            self._batches[0].join(batch)
        else:
            self._batches.append(batch)

    def _forget_cancelled(self) -> None:
        self._waiting = deque(row for row in self._waiting if not row.over)
        if self._prefill and self._prefill.row.over:
            self._prefill = None
        for batch in self._batches:
            batch.drop_finished()
        self._batches = [batch for batch in self._batches if batch.rows]
