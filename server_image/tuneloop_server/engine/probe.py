"""Does an adapter change anything? The base's logits after a fixed prompt, with the adapter and without."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from transformers.cache_utils import DynamicCache

from tuneloop_server.engine.slots import Model, Slots

PART = 0.3
"""Of the layers: those of the first three parts of a probe. The fourth has the few that are left, and the head, which takes as long as
some layers. A pass over one row takes three quarters of a step of four, since what takes time is to read the weights: nobody should wait
for all of it between two tokens."""


class Probe:
    """Only the prompt's last token is decoded anew, after the base's memory of the others. Alone, not as a row of those who are being
    answered: in equal shapes an adapter without effect differs by nothing at all."""

    def __init__(self, model: Model, slots: Slots, prompt: list[int]) -> None:
        """`prompt`: two tokens or more, since attention on a single one is the same whatever is asked of it."""
        self._model, self._slots = model, slots
        *before, last = prompt
        self._last = torch.tensor([[last]], device=model.device)
        self._before = ProbeCache(config=model.config)
        slots.use(())
        with torch.inference_mode():
            model(input_ids=torch.tensor([before], device=model.device), past_key_values=self._before, use_cache=True, logits_to_keep=1)
        self._base = self._logits(None, between=lambda: None)

    def max_delta(self, handle: str, between: Callable[[], None]) -> float:
        """Of a loaded adapter; NaN or infinite when it is broken. `between` is called between two parts, and may use the model."""
        slot = self._slots.take(handle)
        try:
            return float((self._logits(slot, between) - self._base).abs().max())
        finally:
            self._slots.give_back(slot)

    def _logits(self, slot: int | None, between: Callable[[], None]) -> torch.Tensor:
        """[vocabulary]"""
        runs = self._slots.runs([slot])

        def step_aside() -> None:
            between()
            self._slots.use(runs)

        self._slots.use(runs)
        memory = deepcopy(self._before)
        memory.between = step_aside
        with torch.inference_mode():
            out = self._model(input_ids=self._last, past_key_values=memory, use_cache=True)
        logits: torch.Tensor = out.logits[0, -1].float()
        return logits


class ProbeCache(DynamicCache):
    """Each layer comes here for its keys and values, one after the other: where a pass can be put aside, whatever the model."""

    between: Callable[[], None] | None = None
    """Called between two parts."""

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> Any:
        if self.between and layer_idx and layer_idx % max(1, int(PART * len(self.layers))) == 0:
            self.between()
        return super().update(key_states, value_states, layer_idx, *args, **kwargs)
