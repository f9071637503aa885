"""Prompts that came together, being read together, a part at a time, so that long ones do not keep others waiting.

row 0   . . . . p p p p      padded on the left: all end, and give their first tokens, at once
row 1   p p p p p p p p
"""

from collections.abc import Sequence

import torch
from transformers.cache_utils import DynamicCache

from tuneloop_server.engine.row import BatchRow
from tuneloop_server.engine.sampling import sample_all
from tuneloop_server.engine.slots import Model, Slots


class Prefill:
    def __init__(self, entries: Sequence[BatchRow], model: Model, slots: Slots) -> None:
        self.entries = sorted(entries, key=lambda entry: entry.order)
        self.cache = DynamicCache(config=model.config)
        self.first: list[int] = []
        """The first token of each answer, once all is read."""
        self._model, self._slots = model, slots
        self._runs = slots.runs([entry.slot for entry in self.entries])
        self._ids, self._mask = padded([entry.row.prompt for entry in self.entries], model.device)
        self._read = 0

    def advance(self, budget: int) -> int:
        """Read at most `budget` tokens, padding included; how many were read."""
        begin, end = self._read, min(self._read + max(budget // len(self.entries), 1), self._ids.shape[1])
        mask = self._mask[:, :end]
        self._slots.use(self._runs)
        logits = self._model(
            input_ids=self._ids[:, begin:end],
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, begin:end],
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        self._read = end
        if self.done:
            self._begin_answers(logits[:, -1])
        return (end - begin) * len(self.entries)

    @property
    def done(self) -> bool:
        return self._read == self._ids.shape[1]

    @property
    def over(self) -> bool:
        """Nobody waits for it any more."""
        return all(entry.row.over for entry in self.entries)

    def give_back(self) -> None:
        for entry in self.entries:
            self._slots.give_back(entry.slot)

    def _begin_answers(self, logits: torch.Tensor) -> None:
        self.first = sample_all(logits, [entry.sampler for entry in self.entries])
        for entry, token in zip(self.entries, self.first, strict=True):
            if not entry.row.over:
                entry.row.accept(token)


def padded(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, [rows, longest], padded on the left."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    return ids, mask
