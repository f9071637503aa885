"""Does an adapter change anything? Its logits on a fixed prompt against the base's."""

from typing import Any

import torch

from tuneloop_server.engine.slots import Model, Slots


class Probe:
    def __init__(self, model: Model, slots: Slots, prompt: list[int]) -> None:
        self._model, self._slots = model, slots
        self._ids = torch.tensor([prompt], device=model.device)
        self._base = self._logits(None)

    def max_delta(self, handle: str) -> float:
        """Of a loaded adapter; NaN or infinite when it is broken."""
        slot = self._slots.take(handle)
        try:
            return float((self._logits(slot) - self._base).abs().max())
        finally:
            self._slots.give_back(slot)

    def _logits(self, slot: int | None) -> Any:
        self._slots.use(self._slots.places([slot], self._ids.device))
        with torch.inference_mode():
            return self._model(input_ids=self._ids, use_cache=False).logits.float()
