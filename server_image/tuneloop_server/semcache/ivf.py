"""Many vectors of one partition: in lists around centres, of which a search reads the nearest ones (FAISS's IVF)."""

import random
import threading
from collections.abc import Iterator, Sequence
from math import isqrt
from typing import Any

import faiss
import numpy as np

from tuneloop_vectors.words import Vectors

PROBES = 96
"""Lists a search reads. For questions at a cosine of 0.8 to what they look for, an eighth of the lists finds 99 % and more."""
GROWTH = 4
"""New centres are looked for when there are so many times the vectors of the last time: longer lists take longer to read."""
ROUNDS, SAMPLE = 10, 40
"""Of k-means, and the vectors it looks at for each centre. Half of both finds 1 % less."""
MARGIN = 0.15
"""Later vectors may lie outside the range of the first ones, by this share of it, before a byte cannot say where."""
CHUNK = 1000
"""Vectors copied at once to new lists: a search waits for no more."""


class IvfIndex:
    """A byte a dimension, so similarities are good to 0.01. Trained anew in a thread as it grows; searches go on meanwhile."""

    def __init__(self, keys: Sequence[int], vectors: Vectors) -> None:
        self._keys = set(keys)
        self._trained_on = len(keys)
        self._index = _trained(vectors, len(keys))
        self._index.add_with_ids(vectors, _ids(keys))
        self._lock = threading.Lock()
        self._growing: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, keys: Sequence[int], vectors: Vectors) -> None:
        with self._lock:
            self._index.add_with_ids(vectors, _ids(keys))
            self._keys.update(keys)
        if self._growing is None and len(self._keys) > GROWTH * self._trained_on:
            self._growing = threading.Thread(target=self._grow, name="semantic index", daemon=True)
            self._growing.start()

    def remove(self, key: int) -> None:
        """Harmless when it is not there."""
        with self._lock:
            if key in self._keys:
                self._keys.remove(key)
                self._index.remove_ids(faiss.IDSelectorArray(_ids([key])))

    def nearest(self, vector: Vectors, count: int) -> Iterator[tuple[int, float]]:
        """Keys with their cosines, the nearest first."""
        with self._lock:
            similarities, keys = self._index.search(vector[None], count)
        return ((int(key), float(one)) for key, one in zip(keys[0], similarities[0], strict=True) if key >= 0)

    def _grow(self) -> None:
        faiss.omp_set_num_threads(1)  # of this thread: the other cores decode
        with self._lock:
            known = list(self._keys)
            sample = random.Random(0).sample(known, min(len(known), SAMPLE * _centres(len(known))))  # noqa: S311 - no secret
            vectors = self._index.reconstruct_batch(_ids(sample))
        new, copied = _trained(vectors, len(known)), set[int]()
        for start in range(0, len(known), CHUNK):
            with self._lock:
                here = [key for key in known[start : start + CHUNK] if key in self._keys]
                vectors = self._index.reconstruct_batch(_ids(here))
            new.add_with_ids(vectors, _ids(here))
            copied.update(here)
        with self._lock:
            late = list(self._keys - copied)
            new.add_with_ids(self._index.reconstruct_batch(_ids(late)), _ids(late))
            new.remove_ids(faiss.IDSelectorArray(_ids(list(copied - self._keys))))
            self._index, self._trained_on, self._growing = new, len(known), None


def _centres(size: int) -> int:
    return 4 * isqrt(size)


def _trained(vectors: Vectors, size: int) -> Any:
    """Empty, with centres for so many."""
    dimensions = vectors.shape[1]
    coarse, form = faiss.IndexFlatIP(dimensions), faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexIVFScalarQuantizer(coarse, dimensions, _centres(size), form, faiss.METRIC_INNER_PRODUCT)
    index.sq.rangestat_arg = MARGIN
    index.cp.niter, index.cp.max_points_per_centroid, index.cp.min_points_per_centroid, index.cp.spherical = ROUNDS, SAMPLE, 1, True
    index.nprobe = PROBES
    index.set_direct_map_type(faiss.DirectMap.Hashtable)  # or taking one out would read every list
    index.train(vectors)
    return index


def _ids(keys: Sequence[int]) -> "np.ndarray[Any, np.dtype[np.int64]]":
    return np.asarray(keys, dtype=np.int64)
