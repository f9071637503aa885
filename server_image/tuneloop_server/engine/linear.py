"""A linear layer of the base, with the adapters of many rows beside it: each row of a batch is answered by its own."""

from dataclasses import dataclass

import torch
from torch import nn


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


class AdaptedLinear(nn.Module):
    """Takes the place of an nn.Linear and shares its parameters."""

    def __init__(self, linear: nn.Linear, active: Active) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._active = active
        self._columns = linear.weight.device.type == "cpu" and linear.weight.dtype is torch.float32
        self.down: torch.Tensor | None = None
        """[slots, rank, in]; None until an adapter changes this layer."""
        self.up: torch.Tensor | None = None
        """[slots, rank, out], scaled by alpha / rank."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[rows, tokens, in] -> [rows, tokens, out]; without rows, one adapter at most is in use, and is everybody's."""
        y = self._base(x.reshape(-1, self.in_features)).view(*x.shape[:-1], self.out_features)
        if x.dim() != 3:
            self._active.tells_rows = False
        places = self._active.places
        if places and self.down is not None and self.up is not None:
            rows = (1, -1) if x.dim() != 3 else x.shape[:2]
            _add(y.view(*rows, self.out_features), x.reshape(*rows, self.in_features), self.down, self.up, places)
        return y

    def _base(self, x: torch.Tensor) -> torch.Tensor:
        """On a CPU, weight times columns: for a few rows MKL is up to twice as fast at it as at rows times weight, which is what
        nn.functional.linear asks for, and never slower (measured on AVX2, 1 to 128 rows)."""
        if not self._columns:
            return nn.functional.linear(x, self.weight, self.bias)
        y = torch.mm(self.weight, x.t()).t().contiguous()
        return y if self.bias is None else y.add_(self.bias)


def _add(y: torch.Tensor, x: torch.Tensor, down: torch.Tensor, up: torch.Tensor, at: Places) -> None:
    """y[row] += x[row] @ down[slot of row].T @ up[slot of row], in place; x, y: [rows, tokens, width]."""
    chosen = slice(at.first, at.first + at.slots)
    a, b = down[chosen, : at.rank].transpose(1, 2), up[chosen, : at.rank]
    if at.gather is None or at.back is None:
        grouped = x[: at.rows].reshape(at.slots, -1, x.shape[2])
        y[: at.rows].view(at.slots, -1, y.shape[2]).baddbmm_(torch.bmm(grouped, a), b)
        return
    gathered = x.index_select(0, at.gather).view(at.slots, -1, x.shape[2])
    change = torch.bmm(torch.bmm(gathered, a), b).view(len(at.gather), -1, y.shape[2])
    y[: at.rows] += change.index_select(0, at.back)
