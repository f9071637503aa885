"""Somebody else's embedder, by OpenAI's HTTP."""

from collections.abc import Sequence

import aiohttp
import numpy as np

from tuneloop_server.semcache.embed.base import Away, Vectors, unit

TIMEOUT = 0.25
"""Seconds a request may lose to it; after that the lookup is a miss."""


class RemoteEmbedder:
    threshold = 0.5
    """As MiniLM's: low, since the guard decides."""

    def __init__(self, url: str) -> None:
        """`url`: of the endpoint, with or without the path /v1/embeddings."""
        self._url = url if url.endswith("/embeddings") else f"{url.rstrip('/')}/v1/embeddings"
        self.name = f"remote {self._url}"
        self._session: aiohttp.ClientSession | None = None

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self._session = self._session or aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT))
        try:
            async with self._session.post(self._url, json={"model": "default", "input": list(texts)}) as answer:
                answer.raise_for_status()
                body = await answer.json()
            rows = np.asarray([row["embedding"] for row in sorted(body["data"], key=lambda row: row["index"])], dtype=np.float32)
        except (aiohttp.ClientError, TimeoutError, KeyError, TypeError, ValueError) as error:
            raise Away from error
        if rows.ndim != 2 or len(rows) != len(texts) or not np.isfinite(rows).all():
            raise Away
        return unit(rows)

    async def close(self) -> None:
        if self._session:
            await self._session.close()
