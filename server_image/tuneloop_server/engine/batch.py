"""Rows that are decoded together: one step of the model gives each its next token.

Keys and values of all rows are padded on the left to one length; `mask` says which positions are real:

    row 0   . . . . p p p p a        p prompt, a answer so far, . padding
    row 1   p p p p p p p a a
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from transformers.cache_utils import DynamicCache, DynamicLayer

from tuneloop_server.engine.row import Row
from tuneloop_server.engine.sampling import Dice, choose_all

Model = Any
"""A transformers causal language model."""


class Prefill:
    """Reads one prompt, a part at a time, so that a long one does not keep others waiting. Alone, hence without padding."""

    def __init__(self, row: Row, model: Model) -> None:
        self.row = row
        self._cache: Any = DynamicCache(config=model.config)
        self._read = 0

    def advance(self, model: Model, budget: int) -> int:
        """Read at most `budget` tokens; how many were read."""
        part = self.row.prompt[self._read : self._read + budget]
        ids = torch.tensor([part], device=model.device)
        logits = model(input_ids=ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1).logits
        self._read += len(part)
        self._logits = logits[:, -1]
        return len(part)

    @property
    def done(self) -> bool:
        return self._read == len(self.row.prompt)

    def to_batch(self) -> "Batch":
        dice = Dice(self.row.sampling)
        first = dice.choose(self._logits[0])
        self.row.accept(first)
        mask = torch.ones((1, self._read), dtype=torch.long, device=self._logits.device)
        return Batch([self.row], [dice], self._cache, mask, torch.full_like(mask[:, :1], first))


class Batch:
    def __init__(self, rows: list[Row], dice: list[Dice], cache: Any, mask: torch.Tensor, last: torch.Tensor) -> None:
        self.rows = rows
        self._dice = dice
        self._cache = cache
        self._mask = mask
        """(rows, length): 1 where there is a token."""
        self._last = last
        """(rows, 1): the token each row got last, not yet in the cache."""

    def step(self, model: Model) -> None:
        """One token for every row."""
        positions = self._mask.sum(dim=1, keepdim=True)
        self._mask = F.pad(self._mask, (0, 1), value=1)
        out = model(input_ids=self._last, attention_mask=self._mask, position_ids=positions, past_key_values=self._cache, use_cache=True)
        tokens = choose_all(out.logits[:, -1], self._dice)
        for row, token in zip(self.rows, tokens, strict=True):
            row.accept(token)
        self._last = torch.tensor(tokens, device=self._last.device).unsqueeze(1)

    def drop_finished(self) -> None:
        """Rows that are over leave; so does the padding that only they needed."""
        stay = [n for n, row in enumerate(self.rows) if not row.over]
        if len(stay) == len(self.rows):
            return
        self.rows, self._dice = [self.rows[n] for n in stay], [self._dice[n] for n in stay]
        index = torch.tensor(stay, dtype=torch.long, device=self._mask.device)
        self._cache.batch_select_indices(index)
        self._mask, self._last = self._mask[index], self._last[index]
        if stay and self.can_merge:
            self._trim(int((self._mask.sum(dim=0) == 0).sum()))

    @property
    def can_merge(self) -> bool:
        """Sliding windows and other kinds of memory cannot be padded: such rows stay in batches of their own."""
        return all(type(layer) is DynamicLayer for layer in self._cache.layers)

    def join(self, other: "Batch") -> None:
        """Take over the rows of another batch; both must be able to merge."""
        length = max(self._mask.shape[1], other._mask.shape[1])
        mine, theirs = length - self._mask.shape[1], length - other._mask.shape[1]
        for layer, added in zip(self._cache.layers, other._cache.layers, strict=True):
            layer.keys = torch.cat([_pad(layer.keys, mine), _pad(added.keys, theirs)])
            layer.values = torch.cat([_pad(layer.values, mine), _pad(added.values, theirs)])
        self._mask = torch.cat([F.pad(self._mask, (mine, 0)), F.pad(other._mask, (theirs, 0))])
        self._last = torch.cat([self._last, other._last])
        self.rows += other.rows
        self._dice += other._dice

    def _trim(self, padding: int) -> None:
        if padding:
            self._mask = self._mask[:, padding:]
            for layer in self._cache.layers:
                layer.keys, layer.values = layer.keys[..., padding:, :], layer.values[..., padding:, :]


def _pad(states: torch.Tensor, by: int) -> torch.Tensor:
    """Zeros on the left of (rows, heads, length, width); the mask hides them."""
    return F.pad(states, (0, 0, by, 0)) if by else states


def all_rows(batches: Sequence[Batch]) -> list[Row]:
    return [row for batch in batches for row in batch.rows]
