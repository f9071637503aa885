"""Rows as trees: pure."""

import random

import pytest

from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.packs.tree import LEAST_SHARED, Tree, apart, tree_of, trees

SYSTEM = tuple(range(100, 120))


def encoded(*tokens: int) -> Encoded:
    return Encoded(str(tokens), tokens, 1)


def paths(tree: Tree) -> list[tuple[int, ...]]:
    """Each row's tokens, read along its lineage."""
    flat = [token for segment in tree.segments for token in segment.tokens]
    starts = [sum(len(segment.tokens) for segment in tree.segments[:n]) for n in range(len(tree.segments))]
    return [tuple(flat[place] for place in tree.places(n, starts)) for n in range(len(tree.rows))]


@pytest.mark.parametrize(
    ("rows", "want"),
    [
        pytest.param([(*SYSTEM, 1, 2), (*SYSTEM, 3)], 23, id="a system prompt once"),
        pytest.param([(*SYSTEM, 1, 2), (*SYSTEM, 1, 2, 3, 4)], 24, id="a row that begins another costs nothing"),
        pytest.param([(*SYSTEM, 1), (*SYSTEM, 1)], 21, id="the same row twice"),
        pytest.param([(1, 2, 3), (1, 2, 4)], 6, id="a short beginning is computed again"),
        pytest.param([(*SYSTEM, 1, 2, 3), (*SYSTEM, 1, 2, 4), (*SYSTEM, 5)], 27, id="so is one below a long one"),
        pytest.param([(*SYSTEM, *SYSTEM, 1), (*SYSTEM, *SYSTEM, 2), (*SYSTEM, 3)], 43, id="beginnings within beginnings"),
    ],
)
def test_what_is_shared_is_computed_once(rows: list[tuple[int, ...]], want: int) -> None:
    tree = tree_of(sorted((encoded(*tokens) for tokens in rows), key=lambda row: row.tokens))
    assert tree.size == want
    assert paths(tree) == sorted(rows)


def test_every_row_is_whole_along_its_lineage_whatever_the_rows() -> None:
    chance = random.Random(0)
    for _ in range(200):
        starts = [tuple(chance.choices(range(3), k=chance.randint(1, 30))) for _ in range(4)]
        rows = [encoded(*chance.choice(starts), *chance.choices(range(3), k=chance.randint(1, 25))) for _ in range(chance.randint(1, 12))]
        found = list(trees(rows, chance.randint(20, 200)))
        assert sorted(path for tree in found for path in paths(tree)) == sorted(row.tokens for row in rows)
        for segment in (segment for tree in found for segment in tree.segments):
            assert segment.position == 0 or segment.position >= LEAST_SHARED


def test_positions_count_on_along_a_lineage() -> None:
    tree = tree_of([encoded(*SYSTEM, *SYSTEM, 1), encoded(*SYSTEM, *SYSTEM, 2), encoded(*SYSTEM, 3)])
    for segment in tree.segments:
        assert segment.position == sum(len(tree.segments[n].tokens) for n in segment.lineage[:-1])


def test_trees_are_of_about_the_size_wanted_and_a_longer_row_is_one() -> None:
    chance = random.Random(1)
    rows = [encoded(*SYSTEM, *(chance.randint(0, 99) for _ in range(chance.randint(5, 60)))) for _ in range(60)]
    assert all(tree.size <= 300 + LEAST_SHARED for tree in trees(rows, 300))
    assert [len(tree.rows) for tree in trees([encoded(*range(500)), encoded(1)], 100)] == [1, 1]
    assert all(len(tree.rows) * max(len(row.tokens) for row in tree.rows) <= 300 for tree in apart(rows, 300))
    padded = sum(len(tree.rows) * max(len(row.tokens) for row in tree.rows) for tree in apart(rows, 300))
    assert padded <= 1.2 * sum(len(row.tokens) for row in rows)


def test_a_tree_grows_beyond_the_usual_while_the_next_row_shares_much_with_it() -> None:
    rows = [encoded(*SYSTEM, *(1000 * n + token for token in range(20))) for n in range(30)]
    assert [tree.size for tree in trees(rows, 100, 500)] == [160] * 4 + [60], "eight times what they share"
    assert max(tree.size for tree in trees(rows, 100, 130)) == 120, "memory for more there is not"
    strangers = [encoded(*(1000 * n + token for token in range(40))) for n in range(30)]
    assert max(tree.size for tree in trees(strangers, 100, 500)) == 80
