"""When two people asked the same thing, though in other words: overlap (Jaccard) of word shingles, exact."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from tuneloop_trainer.rows import Message

SHINGLE = 3
"""Words in a shingle: questions are short, and of two words less than documents would want."""
SAME_QUESTION = 0.8
"""Jaccard from which two questions are one: wherever a model is judged, whatever `curation.nearDuplicates` lets pass for training."""

CACHED = 4096
"""Messages whose shingles are remembered: a turn repeats those before it."""
_WORD = re.compile(r"\w+")

Shingles = frozenset[int]
"""The hashes of a text's shingles."""
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Asked:
    """A question with what its asker had said before: the same follow-up to something else is another question."""

    question: Shingles
    before: Shingles
    """Inverted: else a question would match what came before another."""
    turns: int
    """Messages of the user; only equally long talks are compared, so that a turn is no copy of the one that it follows."""

    @cached_property
    def whole(self) -> npt.NDArray[np.int64]:
        """All of it, in no order: an index is made of many, again for every piece of a window."""
        return np.fromiter(chain(self.question, self.before), np.int64, len(self.question) + len(self.before))

    def like(self, other: "Asked", threshold: float) -> bool:
        return (
            self.turns == other.turns
            and jaccard(self.question, other.question) >= threshold
            and jaccard(self.before, other.before) >= threshold
        )


def asked(messages: Sequence[Message]) -> Asked:
    """`messages` ends with the question."""
    texts = [message["content"] for message in messages if message["role"] == "user"]
    return Asked(shingles(texts[-1]), frozenset().union(*map(_inverted, texts[:-1])), len(texts))


@lru_cache(maxsize=CACHED)
def shingles(text: str) -> Shingles:
    """Case and punctuation do not count, but for a text that has nothing else."""
    words = _WORD.findall(text.casefold()) or text.split()
    if len(words) < SHINGLE:
        return frozenset([hash(tuple(words))]) if words else frozenset()
    return frozenset(map(hash, zip(words, words[1:], words[2:], strict=False)))


@lru_cache(maxsize=CACHED)
def _inverted(text: str) -> Shingles:
    return frozenset(~shingle for shingle in shingles(text))


def jaccard(one: Shingles, other: Shingles) -> float:
    """1 for two empty sets."""
    shared = len(one & other)
    union = len(one) + len(other) - shared
    return shared / union if union else 1.0


class Index(Generic[T]):
    """Finds what is alike by prefix filtering, exact: two sets that overlap enough share one of the rarest shingles of each.

    Chaudhuri, Ganti, Kaushik: A Primitive Operator for Similarity Joins in Data Cleaning (2006). `known` is all that will be added; it
    tells which shingles are rare, and is sorted by that at once: one by one it would take longer than all the rest.
    """

    def __init__(self, threshold: float, known: Sequence[Asked], sought: Sequence[Asked] | None = None) -> None:
        """`sought`: what will be looked for beside `known`, where that can be told: most then meet no other, and are passed by."""
        self._threshold = threshold
        self._shingles, counts = np.unique(_flat(known), return_counts=True)
        self._ranks = np.empty(len(counts), np.int64)
        self._by_rank = np.argsort(counts, kind="stable")
        self._ranks[self._by_rank] = np.arange(1, len(counts) + 1)
        self._open = sought is None
        every = [*known, *(sought or ())]
        self._prefixes = self._prefixes_of(every)
        self._named: list[tuple[Asked, T]] = []
        self._places: dict[int, list[int]] = defaultdict(list)

    def add(self, one: Asked, name: T) -> None:
        if prefix := self._prefixes.get(one):
            for shingle in prefix:
                self._places[shingle].append(len(self._named))
            self._named.append((one, name))

    def alike(self, one: Asked) -> Iterator[T]:
        """The name of each that is like it."""
        prefixes = self._prefixes_of([one]) if self._open and one not in self._prefixes else self._prefixes
        prefix = prefixes.get(one, [])
        for place in {place for shingle in prefix for place in self._places.get(shingle, ())}:
            other, name = self._named[place]
            if one.like(other, self._threshold):
                yield name

    def _prefixes_of(self, sets: Sequence[Asked]) -> dict[Asked, list[int]]:
        """The rarest shingles of each, where there may be another that has one of them."""
        owners, ranks = self._rarest(sets)
        meets = np.full(len(sets), self._open)
        meets[owners[np.bincount(ranks)[ranks] > 1]] = True
        starts = np.searchsorted(owners, np.arange(len(sets) + 1)).tolist()
        shingles = self._shingles[self._by_rank[ranks - 1]]
        return {sets[n]: shingles[starts[n] : starts[n + 1]].tolist() for n in np.flatnonzero(meets).tolist()}

    def _rarest(self, sets: Sequence[Asked]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """By rank, after the place of the set that each is of. What nobody added is rarest of all, and found nowhere."""
        shingles, sizes = _flat(sets), np.fromiter((len(one.whole) for one in sets), np.int64, len(sets))
        places = np.minimum(np.searchsorted(self._shingles, shingles), max(0, len(self._shingles) - 1))
        ranks = np.where(self._shingles[places] == shingles, self._ranks[places], 0) if len(self._shingles) else np.zeros_like(shingles)
        owners = np.repeat(np.arange(len(sets)), sizes)
        ranks = np.sort(owners * (len(self._shingles) + 1) + ranks) % (len(self._shingles) + 1)  # of each set by itself
        enough = np.ceil(self._threshold * sizes - 1e-9).astype(np.int64)  # shared by any set that overlaps enough
        nth = np.arange(len(ranks)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        wanted = (nth <= np.repeat(sizes - enough, sizes)) & (ranks > 0)
        return owners[wanted], ranks[wanted]


def _flat(sets: Sequence[Asked]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *(one.whole for one in sets)])
