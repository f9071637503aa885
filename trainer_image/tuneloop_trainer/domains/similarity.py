"""How like a text is to each domain: the mean cosine of its word vectors to those of the seed sentences nearest to it, the nearest most.

That is: to the centroid of a few seeds, of that part of the domain which the text is about ("cancel my order" has little in common
with "is it in stock?"). Measured from the centre of all built-in seeds, since what any two questions share says nothing about either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from tuneloop_contracts.domains import DEFAULT_DOMAINS, GENERAL, Domain
from tuneloop_trainer.domains.portuguese import in_english
from tuneloop_trainer.domains.seeds import built_in, seeds_of
from tuneloop_vectors.words import Vectors, WordVectors, unit

NEAREST = 16
_WEIGHTS = 1 / np.arange(NEAREST, 0, -1, dtype=np.float32)
"""Of the nearest, the last: by their rank. Of the built-in seeds, each measured without itself, 95.1 % are nearest to their own domain;
with eight nearest of equal weight half a percent less."""
BLOCK = 128
"""Texts in one product with the seeds, fewer are filled up: in products of one size a text is rounded alike whatever its company."""


@dataclass(frozen=True)
class DomainRanking:
    """The domains by their similarity to one text, the most similar first."""

    domains: tuple[tuple[str, float], ...]

    @property
    def best(self) -> tuple[str, float]:
        return self.domains[0]

    @property
    def margin(self) -> float:
        """To the second; where there is none, to 0, the similarity of a text about something else."""
        return self.best[1] - (self.domains[1][1] if len(self.domains) > 1 else 0.0)


class Centroids:
    """Reads the word vectors: half a second, 50 MB."""

    def __init__(self, domains: Sequence[Domain]) -> None:
        self._words = WordVectors()
        self._centre = np.mean([self._rows(built_in(domain.name)).mean(axis=0) for domain in DEFAULT_DOMAINS], axis=0)
        described = {domain.name: seeds for domain in (Domain(name=GENERAL), *domains) if (seeds := seeds_of(domain))}
        self._seeds = self._centred([seed for seeds in described.values() for seed in seeds])
        ends = list(accumulate(map(len, described.values())))
        self._places = dict(zip(described, map(slice, [0, *ends], ends), strict=False))
        """Of each domain's seeds among all."""

    def rank(self, texts: Sequence[str]) -> list[DomainRanking]:
        """Of each to every domain with sentences to compare with, and in any case to small talk."""
        each = self._cosines(self._centred(texts))
        similarities = zip(*(_nearest(each[:, place]) for place in self._places.values()), strict=True)
        return [DomainRanking(tuple(sorted(zip(self._places, row, strict=True), key=lambda one: -one[1]))) for row in similarities]

    def _cosines(self, rows: Vectors) -> Vectors:
        """To each seed."""
        padded = np.zeros((-(-len(rows) // BLOCK) * BLOCK, rows.shape[1]), np.float32)
        padded[: len(rows)] = rows
        cosines = np.empty((len(padded), len(self._seeds)), np.float32)
        for at in range(0, len(padded), BLOCK):
            np.matmul(padded[at : at + BLOCK], self._seeds.T, out=cosines[at : at + BLOCK])
        return cosines[: len(rows)]

    def _centred(self, texts: Sequence[str]) -> Vectors:
        return unit(self._rows(texts) - self._centre)

    def _rows(self, texts: Sequence[str]) -> Vectors:
        return self._words.rows([in_english(text) for text in texts])


def _nearest(rows: Vectors) -> list[float]:
    """The mean of the nearest, of each row."""
    nearest = np.sort(rows, axis=1)[:, -NEAREST:]
    weights = _WEIGHTS[-nearest.shape[1] :]
    means: list[float] = (np.add.reduce(nearest * weights, axis=1) / weights.sum()).tolist()
    return means
