"""The nearest vectors of one partition, in this pod's memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuneloop_vectors.words import Vectors

if TYPE_CHECKING:
    from tuneloop_server.semcache.ivf import IvfIndex

FLAT = 2000
"""Up to here every vector is compared: 0.2 ms, exact, and a partition of ten costs a few kilobytes."""


@dataclass(frozen=True)
class Neighbour:
    key: int
    similarity: float
    """Cosine."""


class VectorIndex:
    """A few vectors as a matrix, many as lists of bytes; there, similarities are good to 0.01."""

    def __init__(self) -> None:
        self._rows: dict[int, Vectors] = {}
        self._matrix: Vectors | None = None
        self._ivf: IvfIndex | None = None

    def __len__(self) -> int:
        return len(self._ivf or self._rows)

    def add(self, keys: Sequence[int], vectors: Vectors) -> None:
        """Rows of length 1, under keys that are new."""
        if self._ivf is not None:
            self._ivf.add(keys, vectors)
            return
        self._rows |= dict(zip(keys, vectors, strict=True))
        self._matrix = None
        if len(self._rows) > FLAT:
            from tuneloop_server.semcache.ivf import IvfIndex  # FAISS: 64 MB on disk, which most pods never load

            self._ivf = IvfIndex(list(self._rows), np.stack(list(self._rows.values())))
            self._rows = {}

    def remove(self, key: int) -> None:
        """Harmless when it is not there."""
        if self._ivf is not None:
            self._ivf.remove(key)
        elif self._rows.pop(key, None) is not None:
            self._matrix = None

    def nearest(self, vector: Vectors, count: int) -> list[Neighbour]:
        """At most `count`, the nearest first."""
        if self._ivf is not None:
            return [Neighbour(key, similarity) for key, similarity in self._ivf.nearest(vector, count)]
        if not self._rows:
            return []
        if self._matrix is None:
            self._matrix = np.stack(list(self._rows.values()))
        similarities = self._matrix @ vector
        best = np.argsort(-similarities)[:count]
        keys = list(self._rows)
        return [Neighbour(keys[place], float(similarities[place])) for place in best]
