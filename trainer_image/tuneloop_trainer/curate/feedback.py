"""What people said of the answers, as entries go by."""

from collections.abc import Mapping

from tuneloop_contracts.record import Feedback, Record


class FeedbackIndex:
    """Feedback by interaction. What was said of a cache hit was said of the answer that it repeats; the newest word counts.

    Entries go by newest first, so that a hit comes before its origin.
    """

    def __init__(self, feedback: Mapping[str, Feedback]) -> None:
        """`feedback`: oldest first."""
        self._said = dict(feedback)
        self._order = {interaction: place for place, interaction in enumerate(feedback)}

    def of(self, record: Record) -> Feedback | None:
        if record.origin and record.id in self._said:
            self._pass_on(record.id, record.origin)
        return self._said.get(record.id)

    def _pass_on(self, hit: str, origin: str) -> None:
        said, place = self._said.pop(hit), self._order[hit]
        if place > self._order.get(origin, -1):
            self._said[origin], self._order[origin] = said, place
