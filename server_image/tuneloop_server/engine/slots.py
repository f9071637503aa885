"""Where the adapters are that compute now: slots beside each layer, made ahead, so that taking one is a copy.

All loaded adapters stay in memory as they came. Those that a row uses are in slots, and stay there until another needs the place.
Called on the worker's thread only, but for `read`.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tuneloop_server.background import Throttle
from tuneloop_server.engine.linear import ActiveAdapters, AdaptedLinear, SlotRun, StackedMatrices

Model = Any
"""A transformers causal language model."""
FIRST_RANK = 16
"""Slots are made for this rank, and anew when a higher one comes."""
_PREFIX, _DOWN, _UP = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
"""Of the names in PEFT's files."""


@dataclass(frozen=True)
class LoraMatrices:
    """One adapter on one layer."""

    down: torch.Tensor
    """[rank, in]"""
    up: torch.Tensor
    """[rank, out], scaled"""


@dataclass(frozen=True)
class Adapter:
    layers: Mapping[str, LoraMatrices]
    """By path."""
    rank: int


@dataclass
class Slot:
    handle: str | None = None
    users: int = 0
    """Rows that compute with it."""


class Slots:
    def __init__(self, model: Model, count: int) -> None:
        """`count`: adapters that rows may use at the same time."""
        self._active = ActiveAdapters()
        self._layers = _adapt(model, self._active)
        self._loaded: dict[str, Adapter] = {}
        self._slots = [Slot() for _ in range(count)]
        self._rank = FIRST_RANK

    def read(self, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], throttle: Throttle = lambda: None) -> Adapter:
        """PEFT's tensors, ready to be copied. On any thread. Raises ValueError when a tensor fits nowhere."""
        return Adapter(read_layers(config, tensors, self._layers, throttle), int(config["r"]))

    def add(self, handle: str, adapter: Adapter) -> None:
        """Into a slot at once, so that the first row that wants it need not wait for the copy."""
        if adapter.rank > self._rank:
            self._grow(adapter.rank)
        for path in adapter.layers:
            if self._layers[path].stacks is None:
                self._layers[path].stacks = self._room(self._layers[path])
        self._loaded[handle] = adapter
        self.give_back(self.take(handle))

    def remove(self, handle: str) -> None:
        """No row may be using it. Harmless when it is not there."""
        self._loaded.pop(handle, None)
        for slot in self._slots:
            if slot.handle == handle:
                slot.handle = None

    def take(self, handle: str | None) -> int | None:
        """The slot for one more row of this adapter; None for the base. There are more slots than rows: one is always free."""
        if handle is None:
            return None
        number = self._find(handle)
        slot = self._slots[number]
        if slot.handle != handle:
            slot.handle = None  # until all of it is there
            self._fill(number, self._loaded[handle].layers)
            slot.handle = handle
        slot.users += 1
        return number

    def give_back(self, number: int | None) -> None:
        if number is not None:
            self._slots[number].users -= 1

    def use(self, runs: tuple[SlotRun, ...]) -> None:
        """For the next forward passes."""
        self._active.runs = runs

    def runs(self, numbers: Sequence[int | None]) -> tuple[SlotRun, ...]:
        """For rows in the order of their slots, those of the base last."""
        used = [number for number in numbers if number is not None]
        return arrange(used, {number: self._rank_of(number) for number in used})

    @property
    def tells_rows(self) -> bool:
        """Whether all layers have seen [rows, tokens, in] so far, and so can tell whose token is whose."""
        return self._active.tells_rows

    def _find(self, handle: str) -> int:
        free = [number for number, slot in enumerate(self._slots) if not slot.users]
        held = [number for number, slot in enumerate(self._slots) if slot.handle == handle]
        empty = [number for number in free if self._slots[number].handle is None]
        return (held or empty or free)[0]

    def _fill(self, number: int, adapter: Mapping[str, LoraMatrices]) -> None:
        for path, layer in self._layers.items():
            if layer.stacks:
                _put(layer.stacks.down[number], found.down if (found := adapter.get(path)) else None)
                _put(layer.stacks.up[number], found.up if found else None)

    def _rank_of(self, number: int) -> int:
        return self._loaded[str(self._slots[number].handle)].rank

    def _grow(self, rank: int) -> None:
        """Between two steps; what is in use moves along."""
        self._rank = rank
        for layer in self._layers.values():
            if old := layer.stacks:
                layer.stacks = self._room(layer)
                for number in self._held:
                    _put(layer.stacks.down[number], old.down[number])
                    _put(layer.stacks.up[number], old.up[number])

    def _room(self, layer: AdaptedLinear) -> StackedMatrices:
        """Not cleared but for slots whose adapter does not change this layer: memory that nobody wrote to is not there yet, on a CPU."""
        count, widths = len(self._slots), (layer.in_features, layer.out_features)
        stacks = StackedMatrices(*(layer.weight.new_empty((count, self._rank, width), device=layer.device) for width in widths))
        for number in self._held:
            _put(stacks.down[number], None)
            _put(stacks.up[number], None)
        return stacks

    @property
    def _held(self) -> list[int]:
        return [number for number, slot in enumerate(self._slots) if slot.handle is not None]


def arrange(used: Sequence[int], ranks: Mapping[int, int]) -> tuple[SlotRun, ...]:
    """`used`: the slot of each row that has one, in order. As few runs as can be. Pure."""
    runs: list[SlotRun] = []
    row = 0
    for slot, width in Counter(used).items():
        begin, row = row, row + width
        last = runs[-1] if runs else None
        if last and last.slots.stop == slot and last.rows.stop - last.rows.start == width * last.count:
            runs[-1] = SlotRun(slice(last.slots.start, slot + 1), slice(last.rows.start, row), max(last.rank, ranks[slot]))
        else:
            runs.append(SlotRun(slice(slot, slot + 1), slice(begin, row), ranks[slot]))
    return tuple(runs)


def read_layers(
    config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], layers: Mapping[str, AdaptedLinear], throttle: Throttle
) -> dict[str, LoraMatrices]:
    """PEFT's tensors by layer. Raises ValueError for one that is no matrix of a targeted layer."""
    targets = tuple(f".{target}" for target in config["target_modules"])
    paths = [name.removeprefix(_PREFIX).removesuffix(_DOWN) for name in tensors if name.endswith(_DOWN)]
    known = [path for path in paths if path in layers and f".{path}".endswith(targets) and f"{_PREFIX}{path}{_UP}" in tensors]
    if 2 * len(known) != len(tensors):
        raise ValueError(f"{len(tensors) - 2 * len(known)} tensors fit nowhere")
    factor, read = scale(config), {}
    for path in known:
        read[path] = _matrices(tensors[f"{_PREFIX}{path}{_DOWN}"], tensors[f"{_PREFIX}{path}{_UP}"], factor, layers[path])
        throttle()
    return read


def scale(config: Mapping[str, Any]) -> float:
    """Of the product of the two matrices: alpha / rank (Hu et al. 2021), alpha / sqrt(rank) with rsLoRA (Kalajdzievski 2023)."""
    rank = float(config["r"])
    return float(config["lora_alpha"]) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _matrices(down: torch.Tensor, up: torch.Tensor, factor: float, layer: AdaptedLinear) -> LoraMatrices:
    dtype = layer.weight.dtype
    return LoraMatrices(down.to(dtype), (up.float() * factor).t().contiguous().to(dtype))


def _adapt(model: Model, active: ActiveAdapters) -> dict[str, AdaptedLinear]:
    """Put an AdaptedLinear in the place of each linear layer; by path."""
    layers = {}
    for path in [path for path, module in model.named_modules() if isinstance(module, nn.Linear)]:
        layers[path] = AdaptedLinear(model.get_submodule(path), active)  # one at a time: it may leave a weight behind
        model.set_submodule(path, layers[path])
    return layers


def _put(slot: torch.Tensor, matrix: torch.Tensor | None) -> None:
    """[rank, width] into the first ranks of a slot, zeros into the rest."""
    rank = 0 if matrix is None else matrix.shape[0]
    slot[rank:].zero_()
    if matrix is not None:
        slot[:rank] = matrix
