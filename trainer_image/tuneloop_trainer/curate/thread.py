"""Turns of one conversation become one row: what they share is then read once, and a later turn is learned after an earlier one.

A turn belongs to a longer one that begins with its prompt and went on from the very answer that it learns. So an answer that was
corrected (the talk went on from another) or answered again is a row of its own; and an answer that was dropped stays what it was,
a part of what later turns were said after.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from tuneloop_trainer.curate.example import EntryId, Example
from tuneloop_trainer.rows import Message, Row


@dataclass(frozen=True)
class Thread:
    """The turns that one row learns, oldest first; the last one holds the whole talk."""

    turns: tuple[Example, ...]

    @property
    def last(self) -> Example:
        return self.turns[-1]

    @property
    def began(self) -> EntryId:
        """When the first answer that is learned was given."""
        return min(turn.at for turn in self.turns)

    def to_row(self) -> Row:
        first = len(self.turns[0].messages)
        whole = (*self.last.messages, {"role": "assistant", "content": self.last.answer})
        learned = tuple(len(turn.messages) - first for turn in self.turns)
        return Row(self.last.id, self.last.domain, self.last.talk, whole[:first], whole[first:], learned, self.last.weight)


def threads(examples: Iterable[Example]) -> list[Thread]:
    """Only turns of one domain and weight: a row has one of each."""
    talks: dict[tuple[str, str, float], list[Example]] = defaultdict(list)
    for example in examples:
        talks[example.talk, example.domain, example.weight].append(example)
    return [thread for turns in talks.values() for thread in _merged(turns)]


def _merged(turns: Sequence[Example]) -> Iterator[Thread]:
    """The longest first, each taking its beginnings; of two that could take one, the newer does."""
    holders: dict[tuple[int, int], list[Example]] = {}
    heads: list[list[Example]] = []
    for turn in sorted(turns, key=lambda turn: (len(turn.messages), turn.at, turn.id), reverse=True):
        beginnings = _beginnings(turn.messages)
        holder = holders.get((beginnings[-1], hash(turn.answer.strip())))
        if holder is None:
            holder = []
            heads.append(holder)
            for place, message in enumerate(turn.messages):
                if message["role"] == "assistant":
                    holders.setdefault((beginnings[place], hash(message["content"].strip())), holder)
        holder.append(turn)
    return (Thread(tuple(reversed(head))) for head in heads)


def _beginnings(messages: Sequence[Message]) -> list[int]:
    """A hash of the messages before each, and of all."""
    return list(accumulate((hash((message["role"], message["content"].strip())) for message in messages), _onwards, initial=0))


def _onwards(so_far: int, message: int) -> int:
    return hash((so_far, message))
