"""Rows into optimizer steps. Pure.

A step is so many tokens of whole rows, counted one by one: what rows have in common is computed once, and changes no step.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence

from tuneloop_trainer.learn.encode import Encoded

Step = tuple[Encoded, ...]


def steps_of_epoch(rows: Sequence[Encoded], *, tokens_per_step: int, seed: int, epoch: int) -> list[Step]:
    """Steps of at most `tokens_per_step` tokens (one row at least), in an order that the seed decides.

    The answers of one conversation stay together, as far as a step holds them: each begins with the whole of the one before.
    """
    conversations: dict[str, list[Encoded]] = {}
    for row in rows:
        conversations.setdefault(row.conversation or row.id, []).append(row)
    together = [tuple(answers) for answers in conversations.values()]
    random.Random(f"{seed}|{epoch}").shuffle(together)  # noqa: S311 - an order, no secret
    return list(_cut(together, tokens_per_step))


def tokens_of(step: Step) -> int:
    return sum(len(row.tokens) for row in step)


def supervised_of(step: Step) -> int:
    return sum(row.supervised for row in step)


def digest_of_rows(step: Step) -> str:
    """Names the rows of a step to whoever looks for what was wrong with it, and shows nothing of them."""
    return "sha256:" + hashlib.sha256("\n".join(row.id for row in step).encode()).hexdigest()[:16]


def _cut(together: Sequence[Step], limit: int) -> Iterator[Step]:
    step: list[Encoded] = []
    for group in together:
        if step and tokens_of((*step, *group)) > limit:
            yield tuple(step)
            step = []
        for row in group:
            if step and tokens_of((*step, row)) > limit:
                yield tuple(step)
                step = []
            step.append(row)
    if step:
        yield tuple(step)
