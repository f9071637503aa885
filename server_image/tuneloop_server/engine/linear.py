"""A linear layer of the base, with the adapters of many rows beside it: each row of a batch is answered by its own."""

from dataclasses import dataclass

import torch
from torch import nn

from tuneloop_server.engine.product import is_packed, product


@dataclass(frozen=True)
class SlotRun:
    """Neighbouring slots with as many rows each. Two batched products serve all of them, [slots, tokens, in] x [slots, in, rank] x
    [slots, rank, out], on views of the rows: no row is moved or padded, and a slot's numbers never meet another's rows."""

    slots: slice
    rows: slice
    rank: int
    """Of the highest adapter among them; the others' matrices are padded with zeros."""

    @property
    def count(self) -> int:
        """Slots."""
        return int(self.slots.stop - self.slots.start)

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """[slots, tokens, width], of [rows, tokens, width]"""
        mine = rows if self.rows.stop - self.rows.start == len(rows) else rows[self.rows]  # a slice costs as much as a small product
        return mine.view(self.count, -1, rows.shape[2])


@dataclass
class ActiveAdapters:
    """What the next forward pass uses; shared by all layers."""

    runs: tuple[SlotRun, ...] = ()
    """Rows of none use the base alone."""
    tells_rows: bool = True
    """False once a layer was given its tokens without their rows, as an expert of a mixture is."""


@dataclass(frozen=True)
class StackedMatrices:
    """A layer's slots."""

    down: torch.Tensor
    """[slots, rank, in]"""
    up: torch.Tensor
    """[slots, rank, out], scaled by alpha / rank"""


class AdaptedLinear(nn.Module):
    """Takes the place of an nn.Linear and shares its parameters, but for a weight that is packed: of that only the shape is left, on
    the meta device, so that its memory is free unless another layer has it too, as embeddings often do."""

    def __init__(self, linear: nn.Linear, active: ActiveAdapters) -> None:
        super().__init__()
        self.weight: torch.Tensor = linear.weight.detach().to("meta") if is_packed(linear.weight) else linear.weight
        self.bias, self.device = linear.bias, linear.weight.device
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._product = product(linear)
        self._active = active
        self._stacks: StackedMatrices | None = None
        self._chosen: tuple[tuple[SlotRun, ...], list[tuple[torch.Tensor, torch.Tensor]]] | None = None
        """The matrices of the runs that were used last: mostly those that are used next."""

    @property
    def stacks(self) -> StackedMatrices | None:
        """None until an adapter changes this layer."""
        return self._stacks

    @stacks.setter
    def stacks(self, stacks: StackedMatrices) -> None:
        self._stacks, self._chosen = stacks, None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[rows, tokens, in] -> [rows, tokens, out]; without rows, one adapter at most is in use, and is everybody's."""
        y = self._product(x.reshape(-1, self.in_features)).view(*x.shape[:-1], self.out_features)
        if x.dim() != 3:
            self._active.tells_rows = False
        if self._active.runs and self._stacks:
            self._add(y, x, self._active.runs, self._stacks)
        return y

    def _add(self, y: torch.Tensor, x: torch.Tensor, runs: tuple[SlotRun, ...], stacks: StackedMatrices) -> None:
        """y[row] += x[row] @ down[slot of row].T @ up[slot of row], in place."""
        if x.dim() != 3:
            x, y = x.reshape(1, -1, self.in_features), y.view(1, -1, self.out_features)
        x = x.contiguous()
        for run, (down, up) in zip(runs, self._matrices(runs, stacks), strict=True):
            run.of(y).baddbmm_(torch.bmm(run.of(x), down), up)

    def _matrices(self, runs: tuple[SlotRun, ...], stacks: StackedMatrices) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """[slots, in, rank] and [slots, rank, out] of each run: views."""
        if self._chosen is None or self._chosen[0] is not runs:
            views = [(stacks.down[run.slots, : run.rank].transpose(1, 2), stacks.up[run.slots, : run.rank]) for run in runs]
            self._chosen = runs, views
        return self._chosen[1]
