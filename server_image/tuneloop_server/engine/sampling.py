"""The next token of each row of a batch."""

from collections.abc import Sequence

import torch

from tuneloop_server.engine.base import Sampling


class Dice:
    """A row's own randomness, so that its neighbours in the batch do not change what a seed gives."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    def choose(self, logits: torch.Tensor) -> int:
        """`logits`: one row, (vocabulary,)."""
        if self._sampling.temperature == 0:
            return int(logits.argmax())
        chances = torch.softmax(logits.float().cpu() / self._sampling.temperature, dim=-1)
        if self._sampling.top_p < 1:
            chances = nucleus(chances, self._sampling.top_p)
        return int(torch.multinomial(chances, 1, generator=self._generator))


def nucleus(chances: torch.Tensor, top_p: float) -> torch.Tensor:
    """Zero all but the fewest likeliest tokens whose chances reach `top_p` (Holtzman et al. 2020)."""
    ordered, order = chances.sort(descending=True)
    before = ordered.cumsum(-1) - ordered
    return torch.zeros_like(chances).scatter(-1, order, ordered.masked_fill(before >= top_p, 0.0))


def choose_all(logits: torch.Tensor, dice: Sequence[Dice]) -> list[int]:
    """`logits`: (rows, vocabulary)."""
    return [one.choose(row) for one, row in zip(dice, logits, strict=True)]
