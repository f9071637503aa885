"""When two people asked the same thing, though in other words: overlap (Jaccard) of word shingles, exact."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from math import ceil
from typing import Generic, TypeVar

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


@dataclass(frozen=True)
class Asked:
    """A question with what its asker had said before: the same follow-up to something else is another question."""

    question: Shingles
    before: Shingles
    """Inverted: else a question would match what came before another."""
    turns: int
    """Messages of the user; only equally long talks are compared, so that a turn is no copy of the one that it follows."""

    @cached_property
    def whole(self) -> Shingles:
        return self.question | self.before if self.before else self.question

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
    tells which shingles are rare.
    """

    def __init__(self, threshold: float, known: Iterable[Asked]) -> None:
        self._threshold = threshold
        frequency = Counter(chain.from_iterable(one.whole for one in known))
        self._rarity = {shingle: rank for rank, shingle in enumerate(sorted(frequency, key=frequency.__getitem__), start=1)}
        self._last: tuple[Asked | None, list[int]] = (None, [])
        """What is looked for is often added next."""
        self._named: list[tuple[Asked, T]] = []
        self._places: dict[int, list[int]] = defaultdict(list)

    def add(self, one: Asked, name: T) -> None:
        for rank in self._rarest(one):
            self._places[rank].append(len(self._named))
        self._named.append((one, name))

    def alike(self, one: Asked) -> Iterator[T]:
        """The name of each that is like it."""
        for place in {place for rank in self._rarest(one) for place in self._places.get(rank, ())}:
            other, name = self._named[place]
            if one.like(other, self._threshold):
                yield name

    def _rarest(self, one: Asked) -> list[int]:
        """By rank. What nobody added is rarest of all, and found nowhere."""
        if self._last[0] is not one:
            whole = one.whole
            ranks = sorted(filter(None, map(self._rarity.get, whole)))
            enough = ceil(self._threshold * len(whole) - 1e-9)  # shared by any set that overlaps enough
            self._last = (one, ranks[: max(0, len(ranks) - enough + 1)])
        return self._last[1]
