"""The golden sets of a target: what adapters are judged on for as long as there is the target, and so is never learned."""

from collections.abc import Iterable

from tuneloop_contracts.base import digest_of_contents
from tuneloop_trainer.curate.similarity import SAME_QUESTION, Index, Question, question_of
from tuneloop_trainer.rows import Row


class Golden:
    """Every domain's: a question that judges one adapter is not learned by another either."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        rows = list(rows)
        self.digest = digest_of_contents({f"{row.domain}/{row.id}": row.to_line().encode() for row in rows}) if rows else ""
        """Of all rows; "" without any."""
        questions = [(row.domain, question_of(turn[:-1])) for row in rows for turn in row.turns()]
        self._index: Index[str] = Index(SAME_QUESTION, [question for _, question in questions])
        for domain, question in questions:
            self._index.add(question, domain)

    def holders(self, question: Question) -> set[str]:
        """The domains whose golden sets hold the question, in other words too."""
        return set(self._index.alike(question)) if self.digest else set()
