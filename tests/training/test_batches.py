from collections import Counter

from tuneloop_trainer.learn.batches import batches, steps_of_epoch
from tuneloop_trainer.learn.encode import Encoded


def rows(count: int) -> list[Encoded]:
    return [Encoded(str(n), (1,) * (5 + n * 7 % 50), 2) for n in range(count)]


def test_every_row_is_in_one_step_and_no_step_is_too_large() -> None:
    steps = steps_of_epoch(rows(100), tokens_per_step=200, tokens_per_batch=100, seed=0, epoch=0)
    assert Counter(row.id for step in steps for batch in step for row in batch) == Counter(row.id for row in rows(100))
    assert all(sum(len(row.tokens) for batch in step for row in batch) <= 200 for step in steps)
    assert all(len(batch) * max(len(row.tokens) for row in batch) <= 100 for step in steps for batch in step)


def test_a_row_larger_than_a_step_is_a_step() -> None:
    long = Encoded("long", (1,) * 500, 2)
    assert steps_of_epoch([long], tokens_per_step=200, tokens_per_batch=100, seed=0, epoch=0) == [((long,),)]


def test_the_order_is_the_seeds_and_each_epochs_own() -> None:
    def order(seed: int, epoch: int) -> list[object]:
        return list(steps_of_epoch(rows(50), tokens_per_step=200, tokens_per_batch=200, seed=seed, epoch=epoch))

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_little_is_padded() -> None:
    padded = sum(len(batch) * len(batch[0].tokens) for batch in batches(rows(200), 512))
    assert padded <= 1.2 * sum(len(row.tokens) for row in rows(200))
