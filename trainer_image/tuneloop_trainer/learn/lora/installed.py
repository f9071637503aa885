"""Adapters into the base, side by side, and out again."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.lora.adapter import Adapter
from tuneloop_trainer.learn.lora.linear import AdaptedLinear, AdapterRouting, Matrices, Part

EVERY_TOKEN = 2**62


class ActiveAdapters:
    """Says which adapter the next forward passes use, and for which tokens."""

    def __init__(self, routing: AdapterRouting) -> None:
        self._routing = routing

    def select(self, adapter: str | None) -> None:
        """One for all tokens; None: the base alone."""
        self.assign((Part(adapter, 0, EVERY_TOKEN),))

    def assign(self, parts: Sequence[Part], dropout: float = 0.0) -> None:
        self._routing.parts, self._routing.dropout = tuple(parts), dropout


@contextmanager
def installed(base: Base, adapters: Mapping[str, Adapter]) -> Iterator[ActiveAdapters]:
    """The base with these adapters, by name; at first none is in use. Tensors are shared, so a trained one is seen at once.

    Afterwards the base is as it was. Raises ValueError for an adapter that is no plain LoRA, or not of this base.
    """
    routing = AdapterRouting()
    by_layer = _by_layer(adapters)
    layers = {path: base.model.get_submodule(path) for path in by_layer}
    for number, (path, layer) in enumerate(layers.items()):
        base.model.set_submodule(path, AdaptedLinear(layer, number, by_layer[path], routing))
    try:
        yield ActiveAdapters(routing)
    finally:
        for path, layer in layers.items():
            base.model.set_submodule(path, layer)


def _by_layer(adapters: Mapping[str, Adapter]) -> dict[str, dict[str, Matrices]]:
    found: dict[str, dict[str, Matrices]] = {}
    for name, adapter in adapters.items():
        for path, matrices in adapter.layers().items():
            found.setdefault(path, {})[name] = matrices
    return found
