from collections.abc import Sequence

from tuneloop_trainer.curate.lookahead import BATCH, lookahead


def test_a_batch_is_worked_on_when_one_of_it_asks_and_once() -> None:
    worked: list[Sequence[int]] = []

    def squares(numbers: Sequence[int]) -> list[int]:
        worked.append(numbers)
        return [number**2 for number in numbers]

    taken = list(lookahead(iter(range(2 * BATCH + 1)), squares))
    assert [item for item, _ in taken] == list(range(2 * BATCH + 1))
    assert worked == []
    assert [square() for item, square in taken if item < 3 or item == 2 * BATCH] == [0, 1, 4, (2 * BATCH) ** 2]
    assert worked == [tuple(range(BATCH)), (2 * BATCH,)]


def test_no_more_is_read_than_a_batch() -> None:
    endless = iter(range(10**9))
    next(lookahead(endless, list))
    assert next(endless) == BATCH
