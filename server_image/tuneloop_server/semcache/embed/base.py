"""What the rest of the server knows of an embedder."""

from collections.abc import Sequence
from typing import Protocol

from tuneloop_vectors.words import Vectors


class EmbedderUnavailable(Exception):
    """No vectors at the moment; the text is in nobody's message."""


class Embedder(Protocol):
    @property
    def name(self) -> str:
        """Of model and version: vectors of another name mean something else."""
        ...

    @property
    def model(self) -> str:
        """Its name in /v1/embeddings, where clients see it: no address."""
        ...

    @property
    def threshold(self) -> float:
        """The cosine below which two questions are not even shown to the guard."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """[texts, dimensions], rows of length 1. Raises EmbedderUnavailable."""
        ...

    async def close(self) -> None: ...
