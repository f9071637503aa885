"""Rows into optimizer steps, and steps into batches that fit into memory. Pure."""

import random
from collections.abc import Iterator, Sequence

from tuneloop_trainer.learn.encode import Encoded

Batch = tuple[Encoded, ...]
Step = tuple[Batch, ...]


def steps_of_epoch(rows: Sequence[Encoded], *, tokens_per_step: int, tokens_per_batch: int, seed: int, epoch: int) -> list[Step]:
    """Steps of at most `tokens_per_step` tokens (one row at least), in an order that the seed decides.

    Within a step rows of like length share a batch, so that little is padded; which rows share a step stays random.
    """
    order = list(rows)
    random.Random(f"{seed}|{epoch}").shuffle(order)  # noqa: S311 - an order, no secret
    return [tuple(batches(step, tokens_per_batch)) for step in _cut(order, tokens_per_step)]


def batches(rows: Sequence[Encoded], tokens_per_batch: int) -> Iterator[Batch]:
    """Batches whose padded size is at most `tokens_per_batch` tokens (one row at least)."""
    batch: list[Encoded] = []
    for row in sorted(rows, key=lambda row: len(row.tokens), reverse=True):
        if batch and (len(batch) + 1) * len(batch[0].tokens) > tokens_per_batch:
            yield tuple(batch)
            batch = []
        batch.append(row)
    if batch:
        yield tuple(batch)


def _cut(rows: Sequence[Encoded], tokens: int) -> Iterator[list[Encoded]]:
    step: list[Encoded] = []
    for row in rows:
        if step and sum(len(other.tokens) for other in step) + len(row.tokens) > tokens:
            yield step
            step = []
        step.append(row)
    if step:
        yield step
