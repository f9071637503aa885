"""What judges is not learned. A harvest sees to it; but a golden set may be younger than the dataset, as with data.datasetRef. Pure."""

import logging
from collections.abc import Iterable, Sequence

from tuneloop_trainer.curate.golden import Golden
from tuneloop_trainer.curate.similarity import question_of
from tuneloop_trainer.rows import Row

log = logging.getLogger("tuneloop")


def decontaminate(train: list[Row], held_out: Sequence[Row], golden: Iterable[Row]) -> list[Row]:
    """`train` without the rows that ask what a golden set asks, in other words too. What of it this dataset holds out is apart already."""
    own = {row.id for row in held_out}
    known = Golden(row for row in golden if row.id not in own)
    kept = [row for row in train if not any(known.holders(question_of(turn[:-1])) for turn in row.turns())]
    if len(kept) < len(train):
        log.warning("train: %d rows ask what a golden set asks, and are not learned", len(train) - len(kept))
    return kept
