"""Rows that begin alike share their beginning: a system prompt, the earlier turns of a conversation. Pure.

Compared are tokens, not texts, so no chat template can break it. What a token sees is its own row's past and nothing else; so losses
and gradients are those of the rows one by one (Tree Training, arXiv 2511.00413).
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tuneloop_trainer.learn.encode import Encoded

LEAST_SHARED = 8
"""Tokens: a shorter beginning is computed again, since each segment costs calls of its own in every layer."""
GROWS = 8
"""Times what the next row shares: so far a tree may grow before it is cut, since the next one computes what they share again. So that
is an eighth of a tree at most, where memory allows."""


@dataclass(frozen=True)
class Segment:
    tokens: tuple[int, ...]
    lineage: tuple[int, ...]
    """The segments before it in its rows, from the root on, then itself; by their places in the tree."""
    position: int
    """Of its first token in its rows."""


@dataclass(frozen=True)
class Tree:
    rows: tuple[Encoded, ...]
    segments: tuple[Segment, ...]
    leaves: tuple[int, ...]
    """The segment that each row ends in."""

    @property
    def size(self) -> int:
        return sum(len(segment.tokens) for segment in self.segments)

    def places(self, row: int, starts: Sequence[int]) -> list[int]:
        """Where each token of a row is, given where each segment starts."""
        lineage = self.segments[self.leaves[row]].lineage
        path = [place for n in lineage for place in range(starts[n], starts[n] + len(self.segments[n].tokens))]
        return path[: len(self.rows[row].tokens)]


def trees(rows: Sequence[Encoded], limit: int, most: int = 0) -> Iterator[Tree]:
    """Trees of about `limit` tokens at most (one row at least), of up to `most` where they share much; rows with most in common are in
    one."""
    chosen: list[Encoded] = []
    size = 0
    for row in sorted(rows, key=lambda row: row.tokens):
        shared = _shared(chosen[-1].tokens, row.tokens) if chosen else 0
        more = len(row.tokens) - shared
        if chosen and size + more > max(limit, min(most, GROWS * shared)):
            yield tree_of(chosen)
            chosen, size, more = [], 0, len(row.tokens)
        chosen.append(row)
        size += more
    if chosen:
        yield tree_of(chosen)


def tree_of(rows: Sequence[Encoded]) -> Tree:
    """Of rows sorted by their tokens, so that those that begin alike are neighbours."""
    paths = [n for n in range(len(rows)) if n + 1 == len(rows) or not _begins(rows[n + 1].tokens, rows[n].tokens)]
    growing = _TreeBuilder([rows[n].tokens for n in paths])
    growing.grow(0, len(paths), 0, ())
    leaves = tuple(growing.leaves[bisect_left(paths, n)] for n in range(len(rows)))
    return Tree(tuple(rows), tuple(growing.segments), leaves)


def apart(rows: Sequence[Encoded], limit: int) -> Iterator[Tree]:
    """Rows of like length, a segment each: of at most `limit` tokens once padded to the longest (one row at least)."""
    chosen: list[Encoded] = []
    for row in sorted(rows, key=lambda row: (-len(row.tokens), row.tokens)):
        if chosen and (len(chosen) + 1) * len(chosen[0].tokens) > limit:
            yield _apart(chosen)
            chosen = []
        chosen.append(row)
    if chosen:
        yield _apart(chosen)


def _apart(rows: Sequence[Encoded]) -> Tree:
    return Tree(tuple(rows), tuple(Segment(row.tokens, (n,), 0) for n, row in enumerate(rows)), tuple(range(len(rows))))


class _TreeBuilder:
    """Splits paths where they part, from the root on."""

    def __init__(self, paths: Sequence[tuple[int, ...]]) -> None:
        self.segments: list[Segment] = []
        self.leaves: dict[int, int] = {}
        self._paths = paths
        self._shared = [0, *(_shared(paths[n - 1], paths[n]) for n in range(1, len(paths)))]

    def grow(self, first: int, last: int, depth: int, above: tuple[int, ...]) -> None:
        """Paths `first` to `last`, which agree in their first `depth` tokens: those are there already."""
        if last - first == 1:
            self.leaves[first] = self._add(self._paths[first][depth:], depth, above)
            return
        common = min(self._shared[first + 1 : last])
        if common - depth >= LEAST_SHARED:
            above = (*above, self._add(self._paths[first][depth:common], depth, above))
            depth = common
        cuts = [first, *(n for n in range(first + 1, last) if self._shared[n] == common), last]
        for start, stop in pairwise(cuts):
            self.grow(start, stop, depth, above)

    def _add(self, tokens: tuple[int, ...], depth: int, above: tuple[int, ...]) -> int:
        self.segments.append(Segment(tokens, (*above, len(self.segments)), depth))
        return len(self.segments) - 1


def beginning(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two rows begin with alike."""
    return next((n for n, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), min(len(one), len(other)))


def _shared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many tokens they begin with alike; 0 for fewer than LEAST_SHARED."""
    alike = beginning(one, other)
    return alike if alike >= LEAST_SHARED else 0


def _begins(row: tuple[int, ...], start: tuple[int, ...]) -> bool:
    return row[: len(start)] == start
