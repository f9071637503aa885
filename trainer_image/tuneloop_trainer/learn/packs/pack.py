"""Trees of several adapters side by side in one forward pass, as tensors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch

from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.lora.linear import Part
from tuneloop_trainer.learn.packs.attention import Forest
from tuneloop_trainer.learn.packs.tree import Segment, Tree, apart, trees


@dataclass(frozen=True)
class AdapterTree:
    """One adapter's part of a pack."""

    adapter: str | None
    """None: the base alone."""
    tree: Tree
    seed: int = 0
    """Of its dropout."""


@dataclass(frozen=True)
class Pack:
    shares: tuple[AdapterTree, ...]
    tokens: torch.Tensor
    """[1, tokens], int64; where rows are padded, [rows, longest]."""
    positions: torch.Tensor
    """As `tokens`: each token's place in its row."""
    mask: torch.Tensor
    """As `tokens`: 0 where padded."""
    forest: Forest
    """Who attends to whom, where nothing is padded."""
    parts: tuple[Part, ...]
    predicting: torch.Tensor
    """[supervised]: the places, in `tokens` flattened, that predict a supervised token: row after row, share after share."""
    targets: torch.Tensor
    """[supervised]: those tokens."""

    @property
    def rows(self) -> tuple[Encoded, ...]:
        """In the order of `predicting`."""
        return tuple(row for share in self.shares for row in share.tree.rows)


@dataclass(frozen=True)
class Packer:
    limit: int
    """Tokens of a pack."""
    device: torch.device
    sharing: bool = True
    """False for a model whose attention cannot be told who attends to whom: each row alone, padded to the longest."""
    most: int = 0
    """Tokens of a tree that would share much with the next one, where they are more than `limit`."""

    @property
    def limits(self) -> tuple[int, int]:
        """What decides how rows are cut."""
        return self.limit, self.most

    def trees(self, rows: Sequence[Encoded]) -> list[Tree]:
        """One adapter's rows, cut without regard to any other's: what it computes does not depend on whom it shares a pack with."""
        return list(trees(rows, self.limit, self.most) if self.sharing else apart(rows, self.limit))

    def packs(self, shares: Sequence[AdapterTree]) -> Iterator[Pack]:
        """In the order of `shares`."""
        chosen: list[AdapterTree] = []
        for share in shares:
            if chosen and self._size([*chosen, share]) > self.limit:
                yield self._pack(chosen)
                chosen = []
            chosen.append(share)
        if chosen:
            yield self._pack(chosen)

    def _size(self, shares: Sequence[AdapterTree]) -> int:
        if self.sharing:
            return sum(share.tree.size for share in shares)
        return _longest(shares) * sum(len(share.tree.rows) for share in shares)

    def _pack(self, shares: Sequence[AdapterTree]) -> Pack:
        segments = [segment for share in shares for segment in share.tree.segments]
        width = self._size(shares) if self.sharing else _longest(shares)
        lengths = [len(segment.tokens) if self.sharing else width for segment in segments]
        starts = list(accumulate(lengths, initial=0))
        firsts = list(accumulate((len(share.tree.segments) for share in shares), initial=0))
        tokens, positions, mask = _laid_out(segments, starts)
        predicting = [
            place
            for share, first in zip(shares, firsts, strict=False)
            for n, row in enumerate(share.tree.rows)
            for place in share.tree.places(n, starts[first:])[row.answer - 1 : -1]
        ]
        targets = [token for share in shares for row in share.tree.rows for token in row.tokens[row.answer :]]
        return Pack(
            shares=tuple(shares),
            tokens=tokens.view(-1, width).to(self.device),
            positions=positions.view(-1, width).to(self.device),
            mask=mask.view(-1, width).to(self.device),
            forest=Forest(tuple(lengths), _lineages(shares, firsts)),
            parts=tuple(
                Part(share.adapter, starts[a], starts[b], share.seed) for share, (a, b) in zip(shares, pairwise(firsts), strict=True)
            ),
            predicting=torch.tensor(predicting, device=self.device),
            targets=torch.tensor(targets, device=self.device),
        )


def _longest(shares: Sequence[AdapterTree]) -> int:
    return max(len(row.tokens) for share in shares for row in share.tree.rows)


def _laid_out(segments: Sequence[Segment], starts: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, positions and mask, flat; padded with zeros up to the next start."""
    tokens = torch.zeros(starts[-1], dtype=torch.long)
    positions, mask = torch.zeros_like(tokens), torch.zeros_like(tokens)
    for segment, start in zip(segments, starts, strict=False):
        stop = start + len(segment.tokens)
        tokens[start:stop] = torch.tensor(segment.tokens)
        positions[start:stop] = torch.arange(segment.position, segment.position + len(segment.tokens))
        mask[start:stop] = 1
    return tokens, positions, mask


def _lineages(shares: Sequence[AdapterTree], firsts: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    return tuple(
        tuple(first + n for n in segment.lineage) for share, first in zip(shares, firsts, strict=False) for segment in share.tree.segments
    )
