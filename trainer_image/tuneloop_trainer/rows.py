"""The rows of a dataset: one JSON line each, which TRL's SFTTrainer reads unchanged (its conversational prompt and completion)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

Message = dict[str, str]
"""`{"role", "content"}`."""


@dataclass(frozen=True)
class Row:
    """One exchange, or a conversation of several that share what came before."""

    id: str
    domain: str
    conversation: str
    prompt: tuple[Message, ...]
    """What was said before the first answer that is learned."""
    completion: tuple[Message, ...]
    """That answer, and what followed up to the last answer that is learned."""
    learned: tuple[int, ...] = (0,)
    """Which of `completion` are learned; the others are only read."""
    weight: float = 1.0
    """Of this row's loss, against the others' of its domain."""

    def turns(self) -> Iterator[tuple[Message, ...]]:
        """Each learned answer with all that was said before it; it comes last."""
        return ((*self.prompt, *self.completion[: place + 1]) for place in self.learned)

    def to_line(self) -> str:
        fields = {
            "id": self.id, "domain": self.domain, "conversation": self.conversation, "prompt": self.prompt, "completion": self.completion,
            "learned": self.learned, "weight": self.weight,
        }  # fmt: skip
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n"

    @classmethod
    def from_line(cls, line: str) -> "Row":
        """Raises ValueError or KeyError for a line that is not a row."""
        fields = json.loads(line)
        return cls(
            fields["id"], fields["domain"], fields["conversation"], tuple(fields["prompt"]), tuple(fields["completion"]),
            tuple(fields["learned"]), fields["weight"],
        )  # fmt: skip


def write_rows(file: Path, rows: Iterable[Row]) -> None:
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(row.to_line() for row in rows)


def write_users(file: Path, users: Iterable[tuple[str, str]]) -> None:
    """`users`: ids of rows, each with one whose it is. Rows of nobody known have no line."""
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"id": key, "user": user}, separators=(",", ":")) + "\n" for key, user in sorted(users))


def read_rows(file: Path) -> list[Row]:
    with file.open(encoding="utf-8") as stream:
        return [Row.from_line(line) for line in stream]
