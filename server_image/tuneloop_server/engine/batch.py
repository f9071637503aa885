"""Rows that are decoded together, whichever adapters they use: one pass of the model gives each its next token."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol

import torch

from tuneloop_server.engine.kv import RowCache
from tuneloop_server.engine.prefill import Prefill
from tuneloop_server.engine.row import Seat
from tuneloop_server.engine.sampling import choose_all
from tuneloop_server.engine.slots import Model, Slots


class Decoding(Protocol):
    seats: list[Seat]

    def step(self) -> None:
        """One token for every row."""
        ...

    def leave(self) -> list[Seat]:
        """Takes out the rows that are over, and returns them."""
        ...


class Batch:
    """Rows of every length and adapter."""

    def __init__(self, model: Model, slots: Slots, max_rows: int) -> None:
        self.seats: list[Seat] = []
        self._model, self._slots = model, slots
        self._cache = RowCache(max_rows, model.device)
        self._last = torch.zeros((0, 1), dtype=torch.long, device=model.device)
        """[rows, 1]: the token each row got last, not yet in the cache."""

    def join(self, prefill: Prefill) -> None:
        """Rows whose prompts have been read, and who have their first tokens."""
        lengths = self._cache.lengths
        read = [len(seat.row.prompt) for seat in prefill.seats]
        self._cache.put(len(self.seats), prefill.cache, read)
        lengths.set(torch.cat([lengths.of, lengths.of.new_tensor(read)]))
        self._last = torch.cat([self._last, self._last.new_tensor(prefill.first).unsqueeze(1)])
        self.seats += prefill.seats
        self._keep(range(len(self.seats)))

    def step(self) -> None:
        lengths = self._cache.lengths
        self._cache.make_room(lengths.longest + 1)
        self._cache.look_ahead(lengths.longest + 1, max(seat.row.most for seat in self.seats))
        self._slots.use(self._runs)
        out = self._model(
            input_ids=self._last,
            attention_mask=lengths.mask(),
            position_ids=lengths.of[:, None],
            past_key_values=self._cache,
            use_cache=True,
        )
        lengths.advance()
        self._last = accepted(out.logits[:, -1], self.seats)

    def leave(self) -> list[Seat]:
        over = [seat for seat in self.seats if seat.row.over]
        if over:
            self._keep([n for n, seat in enumerate(self.seats) if not seat.row.over])
        return over

    def _keep(self, rows: Sequence[int]) -> None:
        """These rows, in their order."""
        sources = standing({row: self.seats[row].order for row in rows})
        self._cache.order(sources)
        index = torch.tensor(sources, dtype=torch.long, device=self._last.device)
        self._cache.lengths.set(self._cache.lengths.of[index])
        self._last = self._last[index]
        self.seats = [self.seats[n] for n in sources]
        self._runs = self._slots.runs([seat.slot for seat in self.seats])


class Alone:
    """One row of a model whose rows cannot share a pass: its memory slides or recurs, or its layers lose sight of the rows."""

    def __init__(self, model: Model, slots: Slots, prefill: Prefill) -> None:
        self.seats = prefill.seats
        self._model, self._slots = model, slots
        self._cache: Any = prefill.cache
        self._runs = slots.runs([seat.slot for seat in self.seats])
        self._last = torch.tensor([prefill.first], device=model.device)

    def step(self) -> None:
        self._slots.use(self._runs)
        out = self._model(input_ids=self._last, past_key_values=self._cache, use_cache=True)
        self._last = accepted(out.logits[:, -1], self.seats)

    def leave(self) -> list[Seat]:
        over = [seat for seat in self.seats if seat.row.over]
        self.seats = [seat for seat in self.seats if not seat.row.over]
        return over


def standing(rows: Mapping[int, tuple[bool, int]]) -> list[int]:
    """Which row stands at each place: in order, and among equals each where it stood, if it can, since to move a row is to copy its
    memory. Of eight rows of the base with 300 tokens each, the first one's leave took as long as a step when all others moved up. Pure.

    `rows`: the order of each, by where it stands."""
    sources: list[int] = []
    for _, equals in groupby(sorted(rows, key=lambda row: rows[row]), key=lambda row: rows[row]):
        group = set(equals)
        places = range(len(sources), len(sources) + len(group))
        moved = sorted(group - set(places))
        sources += [place if place in group else moved.pop() for place in places]
    return sources


def accepted(logits: torch.Tensor, seats: Sequence[Seat]) -> torch.Tensor:
    """[rows, vocabulary] -> [rows, 1]: the token that each row takes."""
    tokens = choose_all(logits, [seat.dice for seat in seats])
    for seat, token in zip(seats, tokens, strict=True):
        seat.row.accept(token)
    return torch.tensor(tokens, device=logits.device).unsqueeze(1)
