"""MiniLM's mean: finds paraphrases that share few words."""

import asyncio
from collections.abc import Sequence

import numpy as np

from tuneloop_server.semcache.minilm import encode, minilm
from tuneloop_vectors.words import Vectors, unit


class MiniLmEmbedder:
    name = model = "all-minilm-l6-v2-int8"
    threshold = 0.5
    """98 % of 134 paraphrases, many written to be unlike, lie above. Among those it finds the right one first in 91 %, always in eight."""

    def __init__(self) -> None:
        self._model = minilm()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return await asyncio.to_thread(self._run, texts)

    async def close(self) -> None:
        return

    def _run(self, texts: Sequence[str]) -> Vectors:
        return unit(np.asarray([self._model.states(encode(text)).mean(axis=0) for text in texts], dtype=np.float32))
