"""How like a text is to each domain: the mean cosine of its word vectors to those of the seed sentences nearest to it.

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

NEAREST = 8
"""Of the built-in seeds, each measured without itself, 95.4 % are nearest to their own domain; with one centroid of all, 92.1 %."""


@dataclass(frozen=True)
class Likeness:
    """Of one text: domains, the likest first."""

    ranking: tuple[tuple[str, float], ...]

    @property
    def best(self) -> tuple[str, float]:
        return self.ranking[0]

    @property
    def margin(self) -> float:
        """To the second; where there is none, to 0, the likeness of a text about something else."""
        return self.best[1] - (self.ranking[1][1] if len(self.ranking) > 1 else 0.0)


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

    def likeness(self, text: str) -> Likeness:
        """To each domain with sentences to compare with, and in any case to small talk."""
        row = self._centred([text])[0]
        each = self._seeds @ row
        similarities = {name: _nearest(each[place]) for name, place in self._places.items()}
        return Likeness(tuple(sorted(similarities.items(), key=lambda one: -one[1])))

    def _centred(self, texts: Sequence[str]) -> Vectors:
        return unit(self._rows(texts) - self._centre)

    def _rows(self, texts: Sequence[str]) -> Vectors:
        return self._words.rows([in_english(text) for text in texts])


def _nearest(row: Vectors) -> float:
    """Their mean: as numpy's own, without its questions about dtype and axis, which take longer than a dozen numbers."""
    row.sort()
    return float(np.add.reduce(row[-NEAREST:])) / min(NEAREST, len(row))
