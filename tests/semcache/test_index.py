"""Nearest vectors, few and many, as they come and go."""

import time
from dataclasses import replace

import numpy as np
import pytest

from tuneloop_server.semcache.entries import CachedQuestion, EntryIndex
from tuneloop_server.semcache.index import FLAT, VectorIndex
from tuneloop_server.semcache.ivf import GROWTH
from tuneloop_vectors.words import Vectors, unit


def vectors(count: int, seed: int = 0) -> Vectors:
    return unit(np.random.default_rng(seed).standard_normal((count, 32)).astype(np.float32))


@pytest.mark.parametrize("count", [1, 50, FLAT + 500])
def test_the_nearest_is_found_among_few_and_many(count: int) -> None:
    rows, index = vectors(count), VectorIndex()
    index.add(range(count), rows)
    for key in range(0, count, max(1, count // 20)):
        first = index.nearest(rows[key], 3)[0]
        assert first.key == key
        assert first.similarity == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("count", [50, FLAT + 500])
def test_what_was_removed_is_not_found_and_the_rest_is(count: int) -> None:
    rows, index = vectors(count), VectorIndex()
    index.add(range(count), rows)
    index.remove(7)
    index.remove(7)
    assert len(index) == count - 1
    assert 7 not in [neighbour.key for neighbour in index.nearest(rows[7], 5)]
    assert index.nearest(rows[8], 1)[0].key == 8


def test_it_grows_one_by_one_over_the_border() -> None:
    rows, index = vectors(FLAT + 10), VectorIndex()
    for key, row in enumerate(rows):
        index.add([key], row[None])
    assert len(index) == FLAT + 10
    assert all(index.nearest(rows[key], 1)[0].key == key for key in (0, FLAT - 1, FLAT + 9))


def test_while_it_grows_nothing_is_lost_and_what_went_stays_away() -> None:
    """The centres of a few thousand serve until a thread has found those of many; what comes and goes meanwhile is in both."""
    many = GROWTH * FLAT + 2000
    rows, index = vectors(many), VectorIndex()
    index.add(range(FLAT + 1), rows[: FLAT + 1])
    ivf = index._ivf
    assert ivf is not None
    first = ivf._index
    gone = set[int]()
    for key in range(FLAT + 1, many):
        index.add([key], rows[key][None])
        if ivf._growing and len(gone) < 500:
            index.remove(len(gone))
            gone.add(len(gone))
    deadline = time.monotonic() + 60
    while ivf._growing:
        assert time.monotonic() < deadline
        assert index.nearest(rows[many - 1], 1)[0].key == many - 1
    assert ivf._index is not first
    assert gone
    assert len(index) == ivf._index.ntotal == many - len(gone)
    found = {key: index.nearest(rows[key], 1)[0].key for key in range(0, many, 50)}
    assert {key for key, nearest in found.items() if key != nearest} == {key for key in found if key in gone}


def test_an_empty_one_finds_nothing() -> None:
    assert VectorIndex().nearest(vectors(1)[0], 3) == []


def entry(number: int, expires: float = 100.0, partition: str = "p") -> CachedQuestion:
    return CachedQuestion(f"key-{number}", f"{number}-0", partition, f"question {number}", vectors(1, number)[0], expires)


def test_the_oldest_goes_when_the_index_is_full() -> None:
    index = EntryIndex(lambda: 0.0, capacity=3)
    for number in range(5):
        index.put(entry(number))
    assert len(index) == 3
    assert {found.id for found in index.candidates("p", entry(0).vector, 9)} == {"2-0", "3-0", "4-0"}
    assert (index.remove("key-0"), index.remove("key-4")) == (None, "4-0")


def test_what_has_expired_is_not_found() -> None:
    now = 0.0
    index = EntryIndex(lambda: now)
    index.put(entry(1, expires=10.0))
    index.put(entry(2, expires=20.0))
    now = 15.0
    assert [found.id for found in index.candidates("p", entry(1).vector, 9)] == ["2-0"]
    index.put(entry(3, expires=14.0))
    assert len(index) == 1


def test_partitions_do_not_meet_and_leave_nothing_behind() -> None:
    index = EntryIndex(lambda: 0.0)
    index.put(entry(1, partition="p"))
    index.put(entry(2, partition="q"))
    assert [found.id for found in index.candidates("q", entry(1).vector, 9)] == ["2-0"]
    index.remove("key-1")
    index.remove("key-1")
    assert (len(index), index.partitions) == (1, 1)


def test_an_embedder_that_changed_its_dimensions_starts_afresh() -> None:
    """Somebody else's may be given another model under its URL, while Redis still holds what the one before it made."""
    index = EntryIndex(lambda: 0.0)
    index.put(entry(1))
    index.put(replace(entry(2), vector=np.ones(2, np.float32) / 2**0.5))
    assert [found.id for found in index.candidates("p", entry(1).vector, 9)] == ["1-0"]
    assert [found.id for found in index.candidates("p", np.array([1, 0], np.float32), 9)] == ["2-0"]
    index.remove("key-2")
    assert index.partitions == 1


def test_a_newer_answer_to_the_same_request_takes_the_place_of_the_older() -> None:
    index = EntryIndex(lambda: 0.0)
    for position in ("1-0", "2-0", "2-0"):
        index.put(replace(entry(1), id=position))
    assert [found.id for found in index.candidates("p", entry(1).vector, 9)] == ["2-0"]
