"""Word vectors, averaged: some 50 µs a text on one core."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

import numpy as np
import numpy.typing as npt
from safetensors import safe_open

from tuneloop_vectors.files import LONGEST, minilm_file, tokenizer

KNOWN = 16_384
"""Words whose tokens are remembered."""
LONG = 64
"""Characters of what is no word, and not remembered: somebody may send a gigabyte of them."""

Vectors = npt.NDArray[np.float32]
_TABLE = "embeddings.word_embeddings.weight"
FIRST_WORD = 1996
"""Of MiniLM's vocabulary: `the`. From there on it is ordered by frequency; before it are signs and unused places."""


class WordVectors:
    """MiniLM's own input vectors, the rarer the word the heavier (by the logarithm of its rank, Model2Vec's Zipf weighting)."""

    def __init__(self) -> None:
        with safe_open(minilm_file("model.safetensors"), "np") as file:
            table = file.get_tensor(_TABLE)
        ranks = np.maximum(np.arange(len(table)) - FIRST_WORD, 0)
        self._table: Vectors = (table - table[FIRST_WORD:].mean(axis=0)) * np.log(2 + ranks, dtype=np.float32)[:, None]

    def rows(self, texts: Sequence[str]) -> Vectors:
        """[texts, 384], of length 1; a text without a word is a row of zeros."""
        rows = np.zeros((len(texts), self._table.shape[1]), np.float32)
        for row, text in zip(rows, texts, strict=True):
            if ids := tokens_of(text):
                np.add.reduce(self._table.take(ids, axis=0), axis=0, out=row)  # the mean, without numpy's questions
                row /= len(ids)
        return unit(rows)


def tokens_of(text: str) -> list[int]:
    """As the tokenizer's own, which never joins what a space parts; but most words came before, and are not taken apart again."""
    words = text.split()
    return list(chain.from_iterable(_tokens_of_word(word) if len(word) <= LONG else _taken_apart(word) for word in words))[:LONGEST]


@lru_cache(maxsize=KNOWN)
def _tokens_of_word(word: str) -> list[int]:
    return _taken_apart(word)


def _taken_apart(word: str) -> list[int]:
    return tokenizer().encode(word, add_special_tokens=False).ids


def unit(rows: Vectors) -> Vectors:
    """Rows of length 1; a row of zeros stays one."""
    lengths = np.sqrt(np.add.reduce(rows * rows, axis=1, keepdims=True))  # as np.linalg.norm, without its questions
    return np.asarray(rows / np.maximum(lengths, 1e-9), dtype=np.float32)
