"""Does an adapter change anything? The base's logits after a fixed prompt, with the adapter and without."""

from copy import deepcopy

import torch
from transformers.cache_utils import DynamicCache

from tuneloop_server.engine.slots import Model, Slots


class Probe:
    """Only the prompt's last token is decoded anew, after the base's memory of the others: a probe takes no longer than a step of those
    who wait for it. Alone, not as a row of theirs: in equal shapes an adapter without effect differs by nothing at all."""

    def __init__(self, model: Model, slots: Slots, prompt: list[int]) -> None:
        """`prompt`: two tokens or more, since attention on a single one is the same whatever is asked of it."""
        self._model, self._slots = model, slots
        *before, last = prompt
        self._last = torch.tensor([[last]], device=model.device)
        self._before = DynamicCache(config=model.config)
        slots.use(None)
        with torch.inference_mode():
            model(input_ids=torch.tensor([before], device=model.device), past_key_values=self._before, use_cache=True, logits_to_keep=1)
        self._base = self._logits(None)

    def max_delta(self, handle: str) -> float:
        """Of a loaded adapter; NaN or infinite when it is broken."""
        slot = self._slots.take(handle)
        try:
            return float((self._logits(slot) - self._base).abs().max())
        finally:
            self._slots.give_back(slot)

    def _logits(self, slot: int | None) -> torch.Tensor:
        """[vocabulary]"""
        self._slots.use(self._slots.places([slot], self._last.device))
        with torch.inference_mode():
            out = self._model(input_ids=self._last, past_key_values=deepcopy(self._before), use_cache=True)
        logits: torch.Tensor = out.logits[0, -1].float()
        return logits
