import math
import random
from statistics import fmean

import pytest

from tuneloop_trainer.judge.interval import Interval, paired, student_quantile


@pytest.mark.parametrize(
    ("freedom", "want"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (19, 2.093), (29, 2.045), (10_000, 1.960)]
)
def test_student(freedom: int, want: float) -> None:
    """Against the printed tables."""
    assert student_quantile(0.975, freedom) == pytest.approx(want, rel=0.002)


def test_answers_of_as_many_conversations_give_the_plain_paired_interval() -> None:
    got = paired([1.0, 2.0, 3.0], [2.0, 2.0, 2.0], ["a", "b", "c"])
    assert got is not None
    assert got.mean == 0
    assert got.high == pytest.approx(4.303 * 1 / math.sqrt(3), rel=0.001)
    assert str(got) == "[-2.4841, 2.4841]"


def test_an_answer_told_twice_in_its_conversation_is_no_second_witness() -> None:
    once = paired([1.0, 2.0, 4.0], [2.0, 2.0, 2.0], ["a", "b", "c"])
    twice = paired([1.0, 1.0, 2.0, 2.0, 4.0, 4.0], [2.0] * 6, ["a", "a", "b", "b", "c", "c"])
    as_if = paired([1.0, 1.0, 2.0, 2.0, 4.0, 4.0], [2.0] * 6, list("abcdef"))
    assert once is not None
    assert twice is not None
    assert as_if is not None
    assert (twice.low, twice.high) == (pytest.approx(once.low), pytest.approx(once.high))
    assert as_if.high < twice.high


@pytest.mark.parametrize("conversations", [[], ["a"], ["a", "a", "a"]])
def test_fewer_than_two_conversations_have_no_spread(conversations: list[str]) -> None:
    assert paired([1.0] * len(conversations), [2.0] * len(conversations), conversations) is None


def test_it_holds_the_truth_as_often_as_it_says_though_answers_of_a_conversation_are_alike() -> None:
    """The truth is 0; 15 conversations of up to five answers that share most of what makes them differ."""
    chance = random.Random(0)

    def drawn() -> tuple[list[float], list[str]]:
        values, names = [], []
        for name in range(15):
            shared = chance.gauss(0, 1)
            for _ in range(chance.randint(1, 5)):
                values.append(shared + chance.gauss(0, 0.3))
                names.append(str(name))
        return values, names

    def holds(interval: Interval | None) -> bool:
        assert interval
        return interval.low <= 0 <= interval.high

    draws = [drawn() for _ in range(600)]
    by_conversation = fmean(holds(paired(values, [0.0] * len(values), names)) for values, names in draws)
    by_answer = fmean(holds(paired(values, [0.0] * len(values), [str(n) for n in range(len(values))])) for values, _ in draws)
    assert 0.92 <= by_conversation <= 0.98
    assert by_answer < 0.85
