"""Which fold judges a conversation, where a domain has too few examples to hold any out. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from tuneloop_trainer.curate.similarity import question_of
from tuneloop_trainer.curate.ties import tied
from tuneloop_trainer.rows import Row


def tied_rows(rows: Sequence[Row]) -> list[Row]:
    """Those that have a question in common, in other words too, as of one conversation: where curation let near duplicates pass, an
    adapter would else have learned what it judges."""
    named = list(rows)
    for places in tied([row.conversation for row in rows], [[question_of(turn[:-1]) for turn in row.turns()] for row in rows]):
        name = min(rows[n].conversation for n in places)
        for n in places:
            named[n] = replace(rows[n], conversation=name)
    return named


def fold_of(conversation: str, folds: int) -> int:
    """0 to folds - 1, always the same for a conversation: no two folds share one. With few conversations a fold may be empty."""
    return int.from_bytes(hashlib.sha256(conversation.encode()).digest()[:8]) % folds
