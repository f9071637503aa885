"""How sure it is that two texts ask the same: each token against what the other text has for it, and what that gives for both texts.

A decomposable attention (Parikh et al., 2016) over MiniLM's states; neither text is the first.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tuneloop_vectors.words import Vectors, unit

LENGTHS = 20
"""Tokens by which a difference in length is divided."""


@dataclass(frozen=True)
class Projected:
    """What the comparison needs of one text, [tokens, width] each, and its mean [384]."""

    keys: Vectors
    values: Vectors
    mean: Vectors


class Comparison:
    def __init__(self, weights: Mapping[str, Vectors], number: int) -> None:
        """`weights`: as torch names and shapes them, [out, in], behind the number of this one."""
        begin = f"{number}."
        self._weights = {name.removeprefix(begin): tensor for name, tensor in weights.items() if name.startswith(begin)}

    def project(self, states: Vectors) -> Projected:
        return Projected(unit(self._linear("att", states)), self._linear("val", states), unit(states.sum(axis=0, keepdims=True))[0])

    def logit(self, a: Projected, b: Projected) -> float:
        """Of the probability that they ask the same."""
        likeness = a.keys @ b.keys.T * self._weights["scale"]
        (mean_a, top_a), (mean_b, top_b) = self._side(a.values, b.values, likeness), self._side(b.values, a.values, likeness.T)
        whole = np.asarray([a.mean @ b.mean, abs(len(a.keys) - len(b.keys)) / LENGTHS], dtype=np.float32)
        both = np.concatenate([mean_a + mean_b, top_a + top_b, abs(mean_a - mean_b), mean_a * mean_b, whole])
        seen = _relu(self._linear("out.0", both))
        return float(self._linear("out.3", seen)[0])

    def _side(self, values: Vectors, others: Vectors, likeness: Vectors) -> tuple[Vectors, Vectors]:
        """Mean and maximum over one text's tokens of how each compares with its counterpart in the other."""
        matched = _softmax(likeness) @ others
        compared = np.concatenate([values, matched, abs(values - matched), values * matched], axis=1)
        compared = _relu(self._linear("cmp.3", _relu(self._linear("cmp.0", compared))))
        return compared.mean(axis=0), compared.max(axis=0)

    def _linear(self, name: str, x: Vectors) -> Vectors:
        return np.asarray(x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"], dtype=np.float32)


def _softmax(x: Vectors) -> Vectors:
    """Over the last axis."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float32)


def _relu(x: Vectors) -> Vectors:
    return np.maximum(x, np.float32(0))
