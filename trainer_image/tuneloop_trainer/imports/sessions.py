"""Messages of histories into exchanges. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from tuneloop_trainer.imports.layout import ASSISTANT, Exchange, HistoryMessage

LONGEST = 200
"""Messages kept before an answer: no training row holds more, and a history without end would cost the square of its length."""


def exchanges_of(said: Iterable[HistoryMessage]) -> Iterator[tuple[int, Exchange]]:
    """Each answer of a session with what was said before it, and its place in the session."""
    sessions: dict[str, list[HistoryMessage]] = defaultdict(list)
    for message in said:
        sessions[message.session].append(message)
    for session in sorted(sessions):
        yield from _answers(session, sorted(sessions[session], key=_order))


def _order(said: HistoryMessage) -> tuple[float, int, bool]:
    """By time; of two messages of one moment the question comes first."""
    return said.at or 0.0, said.place, said.message["role"] == ASSISTANT


def _answers(session: str, said: list[HistoryMessage]) -> Iterator[tuple[int, Exchange]]:
    messages = tuple(one.message for one in said)
    for place, one in enumerate(said):
        answer = one.message.get("content")
        if one.message["role"] == ASSISTANT and isinstance(answer, str) and not one.message.get("tool_calls"):
            yield place, Exchange(messages[max(0, place - LONGEST) : place], answer, one.at, session=session)
