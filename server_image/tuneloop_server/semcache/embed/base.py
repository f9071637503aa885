"""What the rest of the server knows of an embedder."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


class Away(Exception):
    """No vectors at the moment; the text is in nobody's message."""


class Embedder(Protocol):
    @property
    def name(self) -> str:
        """Of model and version: vectors of another name mean something else. Also the model's name in /v1/embeddings."""
        ...

    @property
    def threshold(self) -> float:
        """The cosine below which two questions are not even shown to the guard."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """[texts, dimensions], rows of length 1. Raises Away."""
        ...

    async def close(self) -> None: ...


def unit(rows: Vectors) -> Vectors:
    """Rows of length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), dtype=np.float32)
