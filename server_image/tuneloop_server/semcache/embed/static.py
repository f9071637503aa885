"""Word vectors, averaged: some 50 µs a text on one core, without a model to run."""

from collections.abc import Sequence

import numpy as np
from safetensors import safe_open

from tuneloop_server.semcache.embed.base import Vectors, unit
from tuneloop_server.semcache.embed.package import minilm_file, tokenizer

_TABLE = "embeddings.word_embeddings.weight"


class StaticEmbedder:
    """MiniLM's own input vectors, their mean taken away and the common words weighed down.

    Measured against a table distilled from MiniLM's outputs, as Model2Vec makes one: it finds the paraphrase of a question among 67
    others first in 74 %, among the first eight in 93 % (distilled: 72 and 92), and needs no build step. Weights of words grow with
    the logarithm of their rank in the vocabulary, which is ordered by frequency (Model2Vec's Zipf weighting).
    """

    name = "minilm-static-384"
    threshold = 0.55
    """Of 67 paraphrases written to be unlike, 98 % lie above. Look-alikes lie near 0.9: it is not this that keeps them out."""

    def __init__(self) -> None:
        with safe_open(minilm_file("model.safetensors"), "np") as file:
            table = file.get_tensor(_TABLE)
        ranks = np.arange(len(table), dtype=np.float32)
        self._table: Vectors = (table - table.mean(axis=0)) * np.log(2 + ranks)[:, None]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        encoded = tokenizer().encode_batch(list(texts), add_special_tokens=False)
        rows = [self._table[one.ids].mean(axis=0) if one.ids else np.zeros(self._table.shape[1]) for one in encoded]
        return unit(np.asarray(rows, dtype=np.float32))

    async def close(self) -> None:
        return
