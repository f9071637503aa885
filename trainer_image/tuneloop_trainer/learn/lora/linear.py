"""A layer of the base with several adapters beside it, each for its own run of tokens: gradients never meet another's."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Matrices:
    """One adapter on one layer: `x @ down.T @ up.T * scale` is added to what the layer gives."""

    down: torch.Tensor
    """[rank, in]"""
    up: torch.Tensor
    """[out, rank]"""
    scale: float


@dataclass(frozen=True)
class Part:
    """Tokens `start` to `stop` of a pack, flattened, are of this adapter; None: the base's own."""

    adapter: str | None
    start: int
    stop: int
    seed: int = 0
    """Of the dropout on these tokens."""


@dataclass
class AdapterRouting:
    """Whose the tokens of the next forward passes are; shared by all layers."""

    parts: tuple[Part, ...] = ()
    dropout: float = 0.0
    """Of what LoRA sees, in training."""


class AdaptedLinear(nn.Module):
    """Takes the place of a layer of the base and calls it."""

    def __init__(self, layer: nn.Module, number: int, matrices: dict[str, Matrices], routing: AdapterRouting) -> None:
        super().__init__()
        self.layer = layer
        self._number = number
        self._matrices = matrices
        self._routing = routing

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out]"""
        tokens = x.reshape(-1, x.shape[-1])
        y: torch.Tensor = self.layer(tokens)
        used = [(part, self._matrices[part.adapter]) for part in self._routing.parts if part.adapter in self._matrices]
        if used:
            places = tuple(_Place(part, matrices.scale, self._routing.dropout, self._number) for part, matrices in used)
            y = _Add.apply(y, tokens, places, *(tensor for _, matrices in used for tensor in (matrices.down, matrices.up)))
        return y.view(*x.shape[:-1], y.shape[-1])

    def __getattr__(self, name: str) -> Any:
        """What models read of their layers, as `weight.dtype`, is the layer's own."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)


@dataclass(frozen=True)
class _Place:
    part: Part
    scale: float
    dropout: float
    layer: int

    def of(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens[self.part.start : self.part.stop]

    def kept(self, x: torch.Tensor) -> torch.Tensor | None:
        """What dropout leaves, scaled up: the same each time it is asked for, so that nothing is kept for the backward pass."""
        if not self.dropout:
            return None
        generator = torch.Generator(x.device).manual_seed(self.part.seed + self.layer)
        return torch.empty_like(x).bernoulli_(1 - self.dropout, generator=generator).div_(1 - self.dropout)


class _Add(torch.autograd.Function):
    """y[part] += x[part] @ down.T @ up.T * scale, in place. Keeps x and the product with `down`, which is narrow."""

    @staticmethod
    def forward(ctx: Any, y: torch.Tensor, x: torch.Tensor, places: tuple[_Place, ...], *tensors: torch.Tensor) -> torch.Tensor:
        narrow = []
        for n, place in enumerate(places):
            down, up = tensors[2 * n : 2 * n + 2]
            seen = _seen(place, x, down)
            narrow.append(torch.mm(seen, down.t()).mul_(place.scale))
            wide = place.of(y)
            if wide.dtype is up.dtype:
                wide.addmm_(narrow[-1], up.t())
            else:
                wide += torch.mm(narrow[-1], up.t())
        ctx.mark_dirty(y)
        ctx.places = places
        ctx.save_for_backward(x, *tensors, *narrow)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (dy,), (x, *saved) = gradients, ctx.saved_tensors
        count = len(ctx.places)
        dx = torch.zeros_like(x) if ctx.needs_input_grad[1] else None
        by_tensor: list[torch.Tensor | None] = []
        for n, place in enumerate(ctx.places):
            down, up, narrow = saved[2 * n], saved[2 * n + 1], saved[2 * count + n]
            part = place.of(dy).to(up.dtype)
            behind = torch.mm(part, up).mul_(place.scale)
            by_tensor += [torch.mm(behind.t(), _seen(place, x, down)), torch.mm(part.t(), narrow)]
            if dx is not None:
                _add_input_gradient(place, dx, x, behind, down)
        return (dy, dx, None, *by_tensor)


def _seen(place: _Place, x: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    part = place.of(x).to(down.dtype)
    kept = place.kept(part)
    return part if kept is None else part * kept


def _add_input_gradient(place: _Place, dx: torch.Tensor, x: torch.Tensor, behind: torch.Tensor, down: torch.Tensor) -> None:
    change = torch.mm(behind, down)
    kept = place.kept(change)
    place.of(dx).copy_(change if kept is None else change * kept)
