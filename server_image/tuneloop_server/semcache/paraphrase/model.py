"""The model as the cache asks it."""

import math
from functools import cache, lru_cache
from pathlib import Path
from statistics import fmean

import numpy as np
from safetensors.numpy import load_file

from tuneloop_server.semcache.minilm import encode, minilm
from tuneloop_server.semcache.paraphrase.comparison import Comparison, Projected

WEIGHTS = Path(__file__).with_name("weights.safetensors")
LONGEST = 40
"""Tokens of the longest text it was trained on."""
SURE = 1.8
"""The logit from which two texts are taken to ask the same: so are 0.9 and 0.6 % of the look-alikes of the two
held-out files, and 1.1 and 0.7 at 1.7."""
REMEMBERED = 512
"""Texts, of some 50 kB each: what is asked often is read once."""


class ParaphraseModel:
    """Several comparisons that were trained alike from other beginnings; the mean of what they say counts."""

    def __init__(self) -> None:
        weights = {name: tensor.astype(np.float32) for name, tensor in load_file(WEIGHTS).items()}
        self._minilm = minilm()
        self._comparisons = [Comparison(weights, number) for number in sorted({int(name.partition(".")[0]) for name in weights})]
        self.projected = lru_cache(REMEMBERED)(self._project)

    def is_sure(self, a: str, b: str) -> bool:
        """That both ask the same. From any thread; some 7 ms a text that is new to it."""
        return self.logit(a, b) >= SURE

    def logit(self, a: str, b: str) -> float:
        """Of the probability that both ask the same; of a text that is longer than what it knows, none."""
        one, other = self.projected(a), self.projected(b)
        if not (one and other):
            return -math.inf
        return fmean(comparison.logit(*pair) for comparison, *pair in zip(self._comparisons, one, other, strict=True))

    def _project(self, text: str) -> tuple[Projected, ...]:
        """For each comparison; nothing of a text that is too long."""
        encoded = encode(text)
        if len(encoded.ids) > LONGEST:
            return ()
        states = self._minilm.states(encoded)
        return tuple(comparison.project(states) for comparison in self._comparisons)


@cache
def paraphrase_model() -> ParaphraseModel:
    """The one of this process: loaded when it is first wanted, in a third of a second; 180 MB with MiniLM's session."""
    return ParaphraseModel()
