"""One line of a dataset: a conversation whose last message is the answer to learn."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

Message = dict[str, str]
"""`{"role", "content"}`."""


@dataclass(frozen=True)
class Row:
    id: str
    domain: str
    conversation: str
    messages: tuple[Message, ...]

    def to_line(self) -> str:
        fields = {"id": self.id, "domain": self.domain, "conversation": self.conversation, "messages": self.messages}
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n"

    @classmethod
    def from_line(cls, line: str) -> "Row":
        """Raises ValueError or KeyError for a line that is not a row."""
        fields = json.loads(line)
        return cls(fields["id"], fields["domain"], fields["conversation"], tuple(fields["messages"]))


def write_rows(file: Path, rows: Iterable[Row]) -> None:
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(row.to_line() for row in rows)


def read_rows(file: Path) -> list[Row]:
    with file.open(encoding="utf-8") as stream:
        return [Row.from_line(line) for line in stream]
