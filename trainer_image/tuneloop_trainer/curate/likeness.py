"""When two people asked the same thing, though in other words: overlap (Jaccard) of word shingles, exact."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Generic, TypeVar

from tuneloop_trainer.rows import Message

SHINGLE = 3
"""Words in a shingle: questions are short, and of two words less than documents would want."""
SAME_QUESTION = 0.8
"""Jaccard from which two questions are one: wherever a model is judged, whatever `curation.nearDuplicates` lets pass for training."""

_WORD = re.compile(r"\w+")

Shingles = frozenset[int]
"""The hashes of a text's shingles."""
T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """A question with what its asker had said before: the same follow-up to something else is another question."""

    question: Shingles
    before: Shingles
    turns: int
    """Messages of the user; only equally long talks are compared, so that a turn is no copy of the one that it follows."""

    @property
    def whole(self) -> Shingles:
        return self.question | {~shingle for shingle in self.before}  # inverted: else a question would match what came before another

    def like(self, other: "Asked", threshold: float) -> bool:
        return (
            self.turns == other.turns
            and jaccard(self.question, other.question) >= threshold
            and jaccard(self.before, other.before) >= threshold
        )


def asked(messages: Sequence[Message]) -> Asked:
    """`messages` ends with the question."""
    texts = [message["content"] for message in messages if message["role"] == "user"]
    return Asked(shingles(texts[-1]), shingles("\n".join(texts[:-1])), len(texts))


def shingles(text: str) -> Shingles:
    """Case and punctuation do not count, but for a text that has nothing else."""
    words = _WORD.findall(text.casefold()) or text.split()
    if len(words) < SHINGLE:
        return frozenset([hash(tuple(words))]) if words else frozenset()
    return frozenset(map(hash, zip(words, words[1:], words[2:], strict=False)))


def jaccard(one: Shingles, other: Shingles) -> float:
    """1 for two empty sets."""
    shared = len(one & other)
    union = len(one) + len(other) - shared
    return shared / union if union else 1.0


class Index(Generic[T]):
    """Finds what is alike by prefix filtering, exact: two sets that overlap enough share one of the rarest shingles of each.

    Chaudhuri, Ganti, Kaushik: A Primitive Operator for Similarity Joins in Data Cleaning (2006). `known` tells how rare a shingle is;
    it decides the speed only.
    """

    def __init__(self, threshold: float, known: Iterable[Asked]) -> None:
        self._threshold = threshold
        self._frequency = Counter(shingle for one in known for shingle in one.whole)
        self._named: list[tuple[Asked, T]] = []
        self._places: dict[int, list[int]] = defaultdict(list)

    def add(self, one: Asked, name: T) -> None:
        for shingle in self._rarest(one):
            self._places[shingle].append(len(self._named))
        self._named.append((one, name))

    def alike(self, one: Asked) -> Iterator[T]:
        """The name of each that is like it."""
        for place in {place for shingle in self._rarest(one) for place in self._places.get(shingle, ())}:
            other, name = self._named[place]
            if one.like(other, self._threshold):
                yield name

    def _rarest(self, one: Asked) -> list[int]:
        whole = one.whole
        enough = ceil(self._threshold * len(whole) - 1e-9)  # shared by any set that overlaps enough
        return sorted(whole, key=lambda shingle: (self._frequency[shingle], shingle))[: len(whole) - enough + 1]
