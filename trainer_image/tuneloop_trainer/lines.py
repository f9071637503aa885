"""JSON lines in, JSON lines out: a step of the curation as a filter, for people and scripts to try it on texts of their own."""

import json
import sys
from collections.abc import Callable, Iterable
from typing import BinaryIO, TextIO

from tuneloop_contracts.jobs import EXIT_DONE, EXIT_NEEDS_EDIT

Answer = Callable[[str], dict[str, object]]
"""From a text to the fields of its line."""


def answer_lines(answer: Answer, source: Iterable[bytes], sink: BinaryIO, complaints: TextIO) -> int:
    """A line for each `{"id", "text"}`, at once; a faulty one is named by its number, and costs only the exit code: 2 at the end.

    Blank lines are passed over. A reader that goes away ends it.
    """
    code = EXIT_DONE
    for number, line in enumerate(source, start=1):
        if not line.strip():
            continue
        try:
            identity, text = _read(line)
        except ValueError as fault:
            print(f"line {number}: {fault}", file=complaints, flush=True)
            code = EXIT_NEEDS_EDIT
            continue
        try:
            sink.write(_written({"id": identity, **answer(text)}))
            sink.flush()
        except BrokenPipeError:
            return code
    return code


def answer_stdin(answer: Answer) -> int:
    return answer_lines(answer, sys.stdin.buffer, sys.stdout.buffer, sys.stderr)


def _read(line: bytes) -> tuple[object, str]:
    """Raises ValueError saying what is wrong, never what the line holds."""
    try:
        fields = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError("not JSON") from error
    if not isinstance(fields, dict):
        raise ValueError('not an object: write {"id": ..., "text": ...}')
    if "id" not in fields:
        raise ValueError("id: is missing")
    if not isinstance(fields.get("text"), str):
        raise ValueError("text: must be a string")
    return fields["id"], fields["text"]


def _written(fields: dict[str, object]) -> bytes:
    """Half of a surrogate pair, which JSON may hold and UTF-8 may not, goes out as JSON's own escape."""
    return (json.dumps(fields, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
