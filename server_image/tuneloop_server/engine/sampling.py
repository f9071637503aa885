"""The next token of each row of a batch."""

from collections.abc import Sequence

import torch

from tuneloop_server.engine.base import Sampling

GREEDY_BELOW = 1e-5
"""A temperature under which the likeliest token has all the chance there is, and dividing by it would overflow (vLLM's bound, too)."""


class Sampler:
    """A row's own random generator, so that its neighbours in the batch do not change what a seed gives."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self.random = sampling.temperature >= GREEDY_BELOW
        """False: the likeliest token, always."""
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    def sample(self, logits: torch.Tensor) -> int:
        """`logits`: one row, (vocabulary,)."""
        chances = torch.softmax(logits.float().cpu() / self._sampling.temperature, dim=-1)
        if self._sampling.top_p < 1:
            chances = nucleus(chances, self._sampling.top_p)
        return int(torch.multinomial(chances, 1, generator=self._generator))


def nucleus(chances: torch.Tensor, top_p: float) -> torch.Tensor:
    """Zero all but the fewest likeliest tokens whose chances reach `top_p` (Holtzman et al. 2020); the likeliest always stays."""
    ordered, order = chances.sort(descending=True)
    beyond = ordered.cumsum(-1) - ordered >= top_p
    beyond[..., 0] = False  # the smallest numbers of a request are zero in float32
    return torch.zeros_like(chances).scatter(-1, order, ordered.masked_fill(beyond, 0.0))


def sample_all(logits: torch.Tensor, samplers: Sequence[Sampler]) -> list[int]:
    """`logits`: (rows, vocabulary)."""
    likeliest = logits.max(dim=-1).indices.tolist()  # of all rows at once: argmax, row by row, takes six times as long
    return [one.sample(row) if one.random else best for one, row, best in zip(samplers, logits, likeliest, strict=True)]
