"""Somebody else's embedder, by OpenAI's HTTP."""

from collections.abc import Sequence
from typing import Any

import aiohttp
import numpy as np

from tuneloop_server.semcache.embed.base import EmbedderUnavailable
from tuneloop_vectors.words import Vectors, unit

TIMEOUT = 0.25
"""Seconds for each text: what a request may lose to it; after that the lookup is a miss."""
_PATH = "/embeddings"


class RemoteEmbedder:
    model = "remote"
    threshold = 0.5
    """As MiniLM's: low, since the guard decides."""

    def __init__(self, url: str) -> None:
        """`url`: of the server, or of its /v1/embeddings. The first model that it lists is asked; a server that lists none is asked
        for `default`."""
        self._base = url.removesuffix(_PATH) if url.endswith(_PATH) else f"{url.rstrip('/')}/v1"
        self.name = f"remote {self._base}"
        self._session: aiohttp.ClientSession | None = None
        self._model = ""
        self._dimensions = 0

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self._session = self._session or aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT))
        try:
            self._model = self._model or await self._first_model(self._session)
            body, patience = {"model": self._model, "input": list(texts)}, aiohttp.ClientTimeout(TIMEOUT * len(texts))
            async with self._session.post(self._base + _PATH, json=body, timeout=patience) as answer:
                answer.raise_for_status()
                rows = _rows(await answer.json())
        except (aiohttp.ClientError, TimeoutError, KeyError, TypeError, ValueError) as error:
            raise EmbedderUnavailable from error
        self._dimensions = self._dimensions or rows.shape[1]
        if rows.shape != (len(texts), self._dimensions) or not np.isfinite(rows).all():
            raise EmbedderUnavailable
        return unit(rows)

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def _first_model(self, session: aiohttp.ClientSession) -> str:
        async with session.get(f"{self._base}/models") as answer:
            return str((await answer.json())["data"][0]["id"]) if answer.status == 200 else "default"


def _rows(body: Any) -> Vectors:
    """Raises KeyError, TypeError or ValueError."""
    rows = np.asarray([row["embedding"] for row in sorted(body["data"], key=lambda row: row["index"])], dtype=np.float32)
    if rows.ndim != 2:
        raise ValueError("not a row for each text")
    return rows
