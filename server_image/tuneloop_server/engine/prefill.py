"""One prompt being read, a part at a time, so that a long one does not keep others waiting. Alone, hence without padding."""

import torch
from transformers.cache_utils import DynamicCache

from tuneloop_server.engine.row import Row
from tuneloop_server.engine.sampling import Dice
from tuneloop_server.engine.slots import Model, Slots


class Prefill:
    def __init__(self, row: Row, model: Model, slots: Slots) -> None:
        """Raises KeyError for an adapter that is not loaded."""
        self.row = row
        self.slot = slots.take(row.adapter)
        self.dice = Dice(row.sampling)
        self.cache = DynamicCache(config=model.config)
        self.length = 0
        """Tokens read so far."""
        self._model, self._slots = model, slots

    def advance(self, budget: int) -> int:
        """Read at most `budget` tokens; how many were read. The last part also gives the first token of the answer."""
        part = self.row.prompt[self.length : self.length + budget]
        ids = torch.tensor([part], device=self._model.device)
        self._slots.use(self._slots.for_prompt(self.slot))
        logits = self._model(input_ids=ids, past_key_values=self.cache, use_cache=True, logits_to_keep=1).logits
        self.length += len(part)
        if self.done:
            self.first = self.dice.choose(logits[0, -1])
            self.row.accept(self.first)
        return len(part)

    @property
    def done(self) -> bool:
        return self.length == len(self.row.prompt)
