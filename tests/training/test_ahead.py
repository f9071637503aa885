from collections.abc import Sequence

from tuneloop_trainer.curate.ahead import AHEAD, ahead


def test_a_batch_is_worked_on_when_one_of_it_asks_and_once() -> None:
    worked: list[Sequence[int]] = []

    def squares(numbers: Sequence[int]) -> list[int]:
        worked.append(numbers)
        return [number**2 for number in numbers]

    taken = list(ahead(iter(range(2 * AHEAD + 1)), squares))
    assert [item for item, _ in taken] == list(range(2 * AHEAD + 1))
    assert worked == []
    assert [square() for item, square in taken if item < 3 or item == 2 * AHEAD] == [0, 1, 4, (2 * AHEAD) ** 2]
    assert worked == [tuple(range(AHEAD)), (2 * AHEAD,)]


def test_no_more_is_read_than_a_batch() -> None:
    endless = iter(range(10**9))
    next(ahead(endless, list))
    assert next(endless) == AHEAD
