"""When two people asked the same thing, though in other words: overlap (Jaccard) of word shingles, exact."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from operator import invert
from typing import Generic, NamedTuple, TypeVar

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
class Question:
    """A question with what its asker had said before: the same follow-up to something else is another question."""

    question: Shingles
    before: Shingles
    """Inverted: else a question would match what came before another."""
    turns: int
    """Messages of the user; only equally long talks are compared, so that a turn is no copy of the one that it follows."""

    @cached_property
    def whole(self) -> npt.NDArray[np.int64]:
        """All of it, in no order, and apart from that of longer and shorter talks: an index is made of many, again for every piece."""
        return np.fromiter(chain(self.question, self.before), np.int64, len(self.question) + len(self.before)) + self.turns

    def like(self, other: "Question", threshold: float) -> bool:
        return (
            self.turns == other.turns
            and jaccard(self.question, other.question) >= threshold
            and jaccard(self.before, other.before) >= threshold
        )


def question_of(messages: Sequence[Message]) -> Question:
    """`messages` ends with the question."""
    texts = [message["content"] for message in messages if message["role"] == "user"]
    return Question(shingles(texts[-1]), frozenset().union(*map(_inverted, texts[:-1])), len(texts))


@lru_cache(maxsize=CACHED)
def shingles(text: str) -> Shingles:
    """Case and punctuation do not count, but for a text that has nothing else."""
    words = _WORD.findall(text.casefold()) or text.split()
    if len(words) < SHINGLE:
        return frozenset([hash(tuple(words))]) if words else frozenset()
    return frozenset(map(hash, zip(words, words[1:], words[2:], strict=False)))


@lru_cache(maxsize=CACHED)
def _inverted(text: str) -> Shingles:
    return frozenset(map(invert, shingles(text)))


def jaccard(one: Shingles, other: Shingles) -> float:
    """1 for two empty sets."""
    shared = len(one & other)
    union = len(one) + len(other) - shared
    return shared / union if union else 1.0


class Index(Generic[T]):
    """Finds what is alike by prefix filtering, exact: two sets that overlap enough share one of the rarest shingles of each.

    Chaudhuri, Ganti, Kaushik: A Primitive Operator for Similarity Joins in Data Cleaning (2006). `known` is all that will be added; it
    tells which shingles are rare, and is sorted by that at once: one by one it would take longer than all the rest.

    Shingles are counted by their last bits, their slot: those of one slot pass for one, which only makes more pairs to compare.
    """

    def __init__(self, threshold: float, known: Sequence[Question], sought: Sequence[Question] | None = None) -> None:
        """`sought`: what will be looked for beside `known`, where that can be told: most then meet no other, and are passed by."""
        self._threshold, self._open = threshold, sought is None
        every = _Flat.of([*known, *(sought or ())])
        shingles = every.shingles[: every.sizes[: len(known)].sum()]
        self._last = (1 << len(shingles).bit_length()) - 1
        counts = np.bincount(shingles & self._last, minlength=self._last + 1)
        used = np.flatnonzero(counts)
        self._ranks = np.zeros(len(counts), np.int64)
        self._ranks[used[np.argsort(counts[used], kind="stable")]] = np.arange(1, len(used) + 1)
        self._prefixes = self._prefixes_of(every)
        self._named: list[tuple[Question, T]] = []
        self._places: dict[int, list[int]] = defaultdict(list)

    def add(self, one: Question, name: T) -> None:
        if prefix := self._prefixes.get(one):
            for rank in prefix:
                self._places[rank].append(len(self._named))
            self._named.append((one, name))

    def alike(self, one: Question) -> Iterator[T]:
        """The name of each that is like it."""
        prefixes = self._prefixes_of(_Flat.of([one])) if self._open and one not in self._prefixes else self._prefixes
        prefix = prefixes.get(one, [])
        for place in {place for rank in prefix for place in self._places.get(rank, ())}:
            other, name = self._named[place]
            if one.like(other, self._threshold):
                yield name

    def _prefixes_of(self, sets: "_Flat") -> dict[Question, list[int]]:
        """The rarest shingles of each by their ranks: those by which it may meet another."""
        owners, ranks = self._rarest(sets)
        if not self._open:
            shared = np.bincount(ranks)[ranks] > 1
            owners, ranks = owners[shared], ranks[shared]
        starts, every = np.searchsorted(owners, np.arange(len(sets.asked) + 1)).tolist(), ranks.tolist()
        return {one: every[start:end] for one, start, end in zip(sets.asked, starts, starts[1:], strict=False) if start < end}

    def _rarest(self, sets: "_Flat") -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """By rank, after the place of the set that each is of. What nobody added is rarest of all, and found nowhere."""
        sizes = sets.sizes
        owners = np.repeat(np.arange(len(sizes)), sizes)
        ranks = self._ranks[sets.shingles & self._last]
        ranks = np.sort(owners * len(self._ranks) + ranks) % len(self._ranks)  # of each set by itself
        enough = np.ceil(self._threshold * sizes - 1e-9).astype(np.int64)  # shared by any set that overlaps enough
        nth = np.arange(len(ranks)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        wanted = (nth <= np.repeat(sizes - enough, sizes)) & (ranks > 0)
        return owners[wanted], ranks[wanted]


class _Flat(NamedTuple):
    """The shingles of all of them in one row, and how many each has."""

    asked: Sequence[Question]
    shingles: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, sets: Sequence[Question]) -> "_Flat":
        rows = [one.whole for one in sets]
        return cls(sets, np.concatenate([np.empty(0, np.int64), *rows]), np.fromiter(map(len, rows), np.int64, len(rows)))
