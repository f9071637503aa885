"""The comparison as it is trained; `tuneloop_server.semcache.paraphrase.comparison` runs the same in numpy, and says what it is."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tuneloop_server.semcache.paraphrase.comparison import LENGTHS

SIZE = 384
"""Of MiniLM's states."""
WIDTH, DROPOUT = 128, 0.2
FAR = 1e4
"""Taken from where there is no token, before a softmax or a maximum."""


class Texts(NamedTuple):
    states: Tensor
    """[texts, tokens, SIZE]"""
    mask: Tensor
    """[texts, tokens], 1 where there is one."""


class Comparison(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.att, self.val = nn.Linear(SIZE, WIDTH), nn.Linear(SIZE, WIDTH)
        self.scale = nn.Parameter(torch.tensor(8.0))
        self.cmp = nn.Sequential(nn.Linear(4 * WIDTH, WIDTH), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(WIDTH, WIDTH), nn.ReLU())
        self.out = nn.Sequential(nn.Linear(4 * WIDTH + 2, WIDTH), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(WIDTH, 1))
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, a: Texts, b: Texts) -> Tensor:
        """Logits of pairs [n]."""
        likeness = self._keys(a) @ self._keys(b).transpose(1, 2) * self.scale
        values_a, values_b = self.drop(self.val(a.states)), self.drop(self.val(b.states))
        mean_a, top_a = self._side(values_a, a.mask, values_b, b.mask, likeness)
        mean_b, top_b = self._side(values_b, b.mask, values_a, a.mask, likeness.transpose(1, 2))
        cosine = (_mean(a) * _mean(b)).sum(-1, keepdim=True)
        lengths = (a.mask.sum(1, keepdim=True) - b.mask.sum(1, keepdim=True)).abs() / LENGTHS
        both = [mean_a + mean_b, top_a + top_b, (mean_a - mean_b).abs(), mean_a * mean_b, cosine, lengths]
        return self.out(torch.cat(both, -1))[:, 0]

    def _keys(self, texts: Texts) -> Tensor:
        return F.normalize(self.att(texts.states), dim=-1)

    def _side(self, values: Tensor, mask: Tensor, others: Tensor, their_mask: Tensor, likeness: Tensor) -> tuple[Tensor, Tensor]:
        matched = (likeness + (their_mask[:, None] - 1) * FAR).softmax(-1) @ others
        compared = self.cmp(torch.cat([values, matched, (values - matched).abs(), values * matched], -1))
        here = mask[..., None]
        return (compared * here).sum(1) / here.sum(1), (compared + (here - 1) * FAR).max(1).values


def _mean(texts: Texts) -> Tensor:
    return F.normalize((texts.states * texts.mask[..., None]).sum(1), dim=-1)
