"""Placeholders instead of what was found: `[EMAIL_1]`, `[EMAIL_2]`, ..."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import count

from tuneloop_trainer.curate.example import Example
from tuneloop_trainer.curate.redact.find import find
from tuneloop_trainer.curate.redact.span import Find, Kind, Span
from tuneloop_trainer.rows import Message


@dataclass
class Placeholders:
    """Of one conversation. The same value always has the same one, however it is written; a model learns who is who, not who it is.

    Numbered as they first appear. A later turn's prompt begins with the earlier turns, so it numbers them alike: nothing needs to be
    kept from row to row.
    """

    find: Find = find
    numbers: dict[Kind, dict[str, int]] = field(default_factory=dict)
    found: list[Kind] = field(default_factory=list)
    """The kind of each find, in order."""

    taken: set[str] = field(default_factory=set)
    """Those that texts held already: a model that learned from placeholders says some itself, and another value must not be called so."""

    def into(self, text: str) -> str:
        return self.put(text, self.find(text))

    def put(self, text: str, spans: Iterable[Span]) -> str:
        """The text with a placeholder for each span; they come in order and do not overlap."""
        self.taken.update(_PLACEHOLDER.findall(text))
        parts, at = [], 0
        for start, end, kind in spans:
            parts += [text[at:start], self._placeholder(kind, text[start:end])]
            at = end
            self.found.append(kind)
        return "".join((*parts, text[at:]))

    def _placeholder(self, kind: Kind, value: str) -> str:
        numbers, value = self.numbers.setdefault(kind, {}), _as_written_anyhow(kind, value)
        if value not in numbers:
            following = count(max(numbers.values(), default=0) + 1)
            numbers[value] = next(number for number in following if f"[{LABELS[kind]}_{number}]" not in self.taken)
        return f"[{LABELS[kind]}_{numbers[value]}]"


_PLACEHOLDER = re.compile(r"\[[A-Z_]{2,8}_\d{1,6}\]")
LABELS = {kind: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).upper() for kind in Kind}


def redact(text: str, find: Find = find) -> dict[str, object]:
    """One text alone: `text` redacted, and `spans` {"start", "end", "type"} in characters of the text as it was."""
    spans = find(text)
    return {
        "text": Placeholders().put(text, spans),
        "spans": [{"start": span.start, "end": span.end, "type": span.kind} for span in spans],
    }


def redact_example(example: Example, find: Find = find) -> Example:
    """All messages and the answer; the example itself where there is nothing to take out."""
    if not any(map(find, [example.answer, *(message["content"] for message in example.messages)])):
        return example
    placeholders = Placeholders(find)
    messages: tuple[Message, ...] = tuple({**message, "content": placeholders.into(message["content"])} for message in example.messages)
    answer = placeholders.into(example.answer)
    return replace(example, messages=messages, answer=answer, redacted=tuple(map(str, placeholders.found)))


def _as_written_anyhow(kind: Kind, value: str) -> str:
    """What two ways of writing one value have in common: case in an address, spaces and signs in a number."""
    if kind in (Kind.JWT, Kind.API_KEY, Kind.PEM, Kind.URL):
        return value
    folded = value.casefold()
    return folded if kind in (Kind.EMAIL, Kind.IP, Kind.PERSON, Kind.ADDRESS) else "".join(filter(str.isalnum, folded))
