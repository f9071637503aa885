from collections import Counter
from dataclasses import replace

from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.steps import steps_of_epoch, tokens_of


def rows(count: int) -> list[Encoded]:
    return [Encoded(str(n), (1,) * (5 + n * 7 % 50), 2) for n in range(count)]


def test_every_row_is_in_one_step_and_no_step_is_too_large() -> None:
    steps = steps_of_epoch(rows(100), tokens_per_step=200, seed=0, epoch=0)
    assert Counter(row.id for step in steps for row in step) == Counter(row.id for row in rows(100))
    assert all(tokens_of(step) <= 200 for step in steps)


def test_a_row_larger_than_a_step_is_a_step() -> None:
    long = Encoded("long", (1,) * 500, 2)
    assert steps_of_epoch([long], tokens_per_step=200, seed=0, epoch=0) == [(long,)]


def test_the_order_is_the_seeds_and_each_epochs_own() -> None:
    def order(seed: int, epoch: int) -> list[object]:
        return list(steps_of_epoch(rows(50), tokens_per_step=200, seed=seed, epoch=epoch))

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_answers_of_a_conversation_share_a_step_that_holds_them() -> None:
    talks = [replace(row, conversation=f"c{n % 10}") for n, row in enumerate(rows(40))]
    steps = steps_of_epoch(talks, tokens_per_step=250, seed=3, epoch=0)
    where = Counter((row.conversation, number) for number, step in enumerate(steps) for row in step)
    assert set(where.values()) == {4}
    split = steps_of_epoch(talks, tokens_per_step=60, seed=3, epoch=0)
    assert all(tokens_of(step) <= 60 for step in split)
    assert Counter(row.id for step in split for row in step) == Counter(row.id for row in talks)
