"""The golden sets of a target: what adapters are judged on for as long as there is the target, and so is never learned."""

from collections.abc import Iterable, Sequence

from tuneloop_contracts.base import digest_of_contents
from tuneloop_trainer.curate.likeness import SAME_QUESTION, Index, asked
from tuneloop_trainer.rows import Message, Row


class Golden:
    """Every domain's: a question that judges one adapter is not learned by another either."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        rows = list(rows)
        self.digest = digest_of_contents({f"{row.domain}/{row.id}": row.to_line().encode() for row in rows}) if rows else ""
        """Of all rows; "" without any."""
        questions = [asked(turn[:-1]) for row in rows for turn in row.turns()]
        self._index: Index[None] | None = Index(SAME_QUESTION, questions) if questions else None
        for question in questions:
            if self._index:
                self._index.add(question, None)

    def holds(self, messages: Sequence[Message]) -> bool:
        """Whether it holds the question that `messages` end with, in other words too."""
        return self._index is not None and any(True for _ in self._index.alike(asked(messages)))
