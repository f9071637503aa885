"""A linear layer of the base, with the adapters of many rows beside it: each row of a batch is answered by its own."""

from dataclasses import dataclass

import torch
from torch import nn

from tuneloop_server.engine.product import is_packed, product


@dataclass(frozen=True)
class Places:
    """Which slot each row of a forward pass uses. The rows that use none come last, and are the base's.

    Two batched products serve all adapters at once, [slots, tokens, in] x [slots, in, rank] x [slots, rank, out]: a slot's numbers
    never meet another's rows. Where all slots have as many rows, a view is enough; else rows are gathered, short slots padded.
    """

    first: int
    slots: int
    """The slots from `first` on: `slots` of them."""
    rows: int
    """So many rows use one, in the order of slots."""
    rank: int
    """Of the highest adapter among them; the others' matrices are padded with zeros."""
    gather: torch.Tensor | None = None
    """[slots * most rows of one]: the row in each place; None: they are in their places already."""
    back: torch.Tensor | None = None
    """[rows]: the place of each row."""


@dataclass
class Active:
    """What the next forward pass uses; shared by all layers."""

    places: Places | None = None
    """None: the base alone."""
    tells_rows: bool = True
    """False once a layer was given its tokens without their rows, as an expert of a mixture is."""


@dataclass(frozen=True)
class Stacks:
    """A layer's slots."""

    down: torch.Tensor
    """[slots, rank, in]"""
    up: torch.Tensor
    """[slots, rank, out], scaled by alpha / rank"""


class AdaptedLinear(nn.Module):
    """Takes the place of an nn.Linear and shares its parameters, but for a weight that is packed: of that only the shape is left, on
    the meta device, so that its memory is free unless another layer has it too, as embeddings often do."""

    def __init__(self, linear: nn.Linear, active: Active) -> None:
        super().__init__()
        self.weight: torch.Tensor = linear.weight.detach().to("meta") if is_packed(linear.weight) else linear.weight
        self.bias, self.device = linear.bias, linear.weight.device
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._product = product(linear)
        self._active = active
        self._stacks: Stacks | None = None
        self._chosen: tuple[Places, torch.Tensor, torch.Tensor] | None = None
        """The matrices of the places that were used last: mostly those that are used next."""

    @property
    def stacks(self) -> Stacks | None:
        """None until an adapter changes this layer."""
        return self._stacks

    @stacks.setter
    def stacks(self, stacks: Stacks) -> None:
        self._stacks, self._chosen = stacks, None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[rows, tokens, in] -> [rows, tokens, out]; without rows, one adapter at most is in use, and is everybody's."""
        y = self._product(x.reshape(-1, self.in_features)).view(*x.shape[:-1], self.out_features)
        if x.dim() != 3:
            self._active.tells_rows = False
        if self._active.places and self._stacks:
            self._add(y, x, self._active.places, self._stacks)
        return y

    def _add(self, y: torch.Tensor, x: torch.Tensor, at: Places, stacks: Stacks) -> None:
        """y[row] += x[row] @ down[slot of row].T @ up[slot of row], in place."""
        if x.dim() != 3:
            x, y = x.reshape(1, -1, self.in_features), y.view(1, -1, self.out_features)
        a, b = self._matrices(at, stacks)
        if at.gather is None or at.back is None:
            if at.rows < len(x):
                x, y = x[: at.rows], y[: at.rows]
            y.view(at.slots, -1, self.out_features).baddbmm_(torch.bmm(x.reshape(at.slots, -1, self.in_features), a), b)
            return
        gathered = x.index_select(0, at.gather).view(at.slots, -1, self.in_features)
        change = torch.bmm(torch.bmm(gathered, a), b).view(len(at.gather), -1, self.out_features)
        y[: at.rows] += change.index_select(0, at.back)

    def _matrices(self, at: Places, stacks: Stacks) -> tuple[torch.Tensor, torch.Tensor]:
        """[slots, in, rank] and [slots, rank, out]: views."""
        if self._chosen is None or self._chosen[0] is not at:
            slots = slice(at.first, at.first + at.slots)
            self._chosen = at, stacks.down[slots, : at.rank].transpose(1, 2), stacks.up[slots, : at.rank]
        return self._chosen[1], self._chosen[2]
