"""The semantic cache's embedder, for clients too."""

import asyncio
from collections.abc import Sequence

from tuneloop_server.embeddings.protocol import EmbeddingsRequest
from tuneloop_server.errors import BadRequest, NotFound, Unavailable
from tuneloop_server.semcache.embed.base import EmbedderUnavailable
from tuneloop_server.semcache.embed.choose import LazyEmbedder
from tuneloop_vectors.files import tokenizer
from tuneloop_vectors.words import Vectors


class EmbeddingsService:
    def __init__(self, embedder: LazyEmbedder) -> None:
        self._embedder = embedder

    async def embed(self, request: EmbeddingsRequest) -> tuple[Vectors, int]:
        """Rows, and the tokens read. Raises NotFound, BadRequest or Unavailable."""
        embedder = await asyncio.to_thread(self._embedder.get)
        if request.model != embedder.model:
            message = f"The model `{request.model[:200]}` does not exist here; the one for embeddings is `{embedder.model}`"
            raise NotFound(message, param="model", code="model_not_found")
        try:
            rows = await embedder.embed(request.input)
        except EmbedderUnavailable as error:
            raise Unavailable("the embedder is away; try again") from error
        if request.dimensions not in (None, rows.shape[1]):
            raise BadRequest(f"this model gives {rows.shape[1]} dimensions and no others", param="dimensions")
        return rows, await asyncio.to_thread(_tokens, request.input)


def _tokens(texts: Sequence[str]) -> int:
    return sum(len(encoded.ids) for encoded in tokenizer().encode_batch(list(texts)))
