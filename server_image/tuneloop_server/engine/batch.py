"""Rows that are decoded together, whichever adapters they use: one pass of the model gives each its next token."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol

import torch

from tuneloop_server.engine.kv import RowCache
from tuneloop_server.engine.prefill import Prefill
from tuneloop_server.engine.row import BatchRow
from tuneloop_server.engine.sampling import sample_all
from tuneloop_server.engine.slots import Model, Slots


class Decoding(Protocol):
    entries: list[BatchRow]

    def step(self) -> None:
        """One token for every row."""
        ...

    def leave(self) -> list[BatchRow]:
        """Takes out the rows that are over, and returns them."""
        ...


class Batch:
    """Rows of every length and adapter."""

    def __init__(self, model: Model, slots: Slots, max_rows: int) -> None:
        self.entries: list[BatchRow] = []
        self._model, self._slots = model, slots
        self._cache = RowCache(max_rows, model.device)
        self._last = torch.zeros((0, 1), dtype=torch.long, device=model.device)
        """[rows, 1]: the token each row got last, not yet in the cache."""

    def join(self, prefill: Prefill) -> None:
        """Rows whose prompts have been read, and who have their first tokens."""
        lengths = self._cache.lengths
        read = [len(entry.row.prompt) for entry in prefill.entries]
        self._cache.put(len(self.entries), prefill.cache, read)
        lengths.set(torch.cat([lengths.of, lengths.of.new_tensor(read)]))
        self._last = torch.cat([self._last, self._last.new_tensor(prefill.first).unsqueeze(1)])
        self.entries += prefill.entries
        self._keep(range(len(self.entries)))

    def step(self) -> None:
        lengths = self._cache.lengths
        self._cache.make_room(lengths.longest + 1)
        self._cache.look_ahead(lengths.longest + 1, max(entry.row.most for entry in self.entries))
        self._slots.use(self._runs)
        out = self._model(
            input_ids=self._last,
            attention_mask=lengths.mask(),
            position_ids=lengths.of[:, None],
            past_key_values=self._cache,
            use_cache=True,
        )
        lengths.advance()
        self._last = accepted(out.logits[:, -1], self.entries)

    def leave(self) -> list[BatchRow]:
        over = [entry for entry in self.entries if entry.row.over]
        if over:
            self._keep([n for n, entry in enumerate(self.entries) if not entry.row.over])
        return over

    def _keep(self, rows: Sequence[int]) -> None:
        """These rows, in their order."""
        sources = standing({row: self.entries[row].order for row in rows})
        self._cache.order(sources)
        index = torch.tensor(sources, dtype=torch.long, device=self._last.device)
        self._cache.lengths.set(self._cache.lengths.of[index])
        self._last = self._last[index]
        self.entries = [self.entries[n] for n in sources]
        self._runs = self._slots.runs([entry.slot for entry in self.entries])


class SingleRow:
    """One row of a model whose rows cannot share a pass: its memory slides or recurs, or its layers lose sight of the rows."""

    def __init__(self, model: Model, slots: Slots, prefill: Prefill) -> None:
        self.entries = prefill.entries
        self._model, self._slots = model, slots
        self._cache: Any = prefill.cache
        self._runs = slots.runs([entry.slot for entry in self.entries])
        self._last = torch.tensor([prefill.first], device=model.device)

    def step(self) -> None:
        self._slots.use(self._runs)
        out = self._model(input_ids=self._last, past_key_values=self._cache, use_cache=True)
        self._last = accepted(out.logits[:, -1], self.entries)

    def leave(self) -> list[BatchRow]:
        over = [entry for entry in self.entries if entry.row.over]
        self.entries = [entry for entry in self.entries if not entry.row.over]
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


def accepted(logits: torch.Tensor, entries: Sequence[BatchRow]) -> torch.Tensor:
    """[rows, vocabulary] -> [rows, 1]: the token that each row takes."""
    tokens = sample_all(logits, [entry.sampler for entry in entries])
    for entry, token in zip(entries, tokens, strict=True):
        entry.row.accept(token)
    return torch.tensor(tokens, device=logits.device).unsqueeze(1)
