"""The golden set of a domain, in the store of the datasets: `golden/<target's namespace>/<target's name>/<domain>.jsonl`.

One row a line, as in a dataset; of a user's own only `prompt` and `completion` are needed. Where there is none, the first run's held-out
rows become it, so that all later adapters are judged on the same.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence

from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.stores import Store
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.rows import Message, Row
from tuneloop_trainer.store import get_bytes, list_files, put_bytes

FOLDER = "golden"
OWNERS_FILE = "_users.jsonl"
"""Beside the sets: whose each frozen row is, as in a dataset, so that a person can be taken out of them too. No domain is called so."""
MOST_ROWS = 100
"""Of a frozen set: enough for an interval, and each adapter is asked about every other domain's."""
ROLES = ("system", "user", "assistant")


def golden_store(datasets: Store, target: str, domain: str) -> Store:
    """`target` is `<namespace>/<name>`."""
    return datasets.below(FOLDER, *target.split("/"), f"{domain}.jsonl")


def owners_store(datasets: Store, target: str) -> Store:
    return datasets.below(FOLDER, *target.split("/"), OWNERS_FILE)


def read_golden(store: Store) -> tuple[Row, ...]:
    """None of it there is (). Raises NeedsEdit (GOLDEN_SET_INVALID) naming file, line and what is wrong with it."""
    content = get_bytes(store)
    if content is None:
        return ()
    domain = store.uri.rsplit("/", 1)[-1].removesuffix(".jsonl")
    lines = enumerate(content.decode(errors="replace").split("\n"), start=1)  # JSON leaves U+2028 as it is: `splitlines` cuts there
    return tuple(_row(line, domain, f"{store.uri}, line {number}", number) for number, line in lines if line.strip())


def every_golden(datasets: Store, target: str) -> Iterator[Row]:
    """Of all sets of the target, also of a domain that it has no more, or not by the settings at hand. Raises NeedsEdit."""
    folder = datasets.below(FOLDER, *target.split("/"))
    for name in list_files(folder):
        if name.endswith(".jsonl") and not name.startswith("_"):
            yield from read_golden(folder.below(name))


def freeze_golden(store: Store, held_out: Iterable[Row]) -> None:
    """The first run's held-out rows of a domain, if it has any and no golden set yet. Which ones, their ids decide."""
    rows = sorted(held_out, key=lambda row: hashlib.sha256(row.id.encode()).digest())[:MOST_ROWS]
    if rows and get_bytes(store) is None:
        put_bytes(store, "".join(row.to_line() for row in rows).encode())


def _row(line: str, domain: str, place: str, number: int) -> Row:
    try:
        fields = json.loads(line)
    except ValueError:
        raise _invalid(place, "is not JSON") from None
    if not isinstance(fields, dict):
        raise _invalid(place, "is not an object")
    prompt, completion = (_messages(fields.get(name), name, place) for name in ("prompt", "completion"))
    learned = fields.get("learned", [len(completion) - 1])
    if prompt[-1]["role"] != "user":
        raise _invalid(place, "prompt must end with a message of the user")
    if not _are_answers(learned, completion):
        raise _invalid(place, "learned must be places of assistant messages in completion")
    name = str(fields.get("id", f"golden-{number}"))
    return Row(name, domain, str(fields.get("conversation", name)), prompt, completion, tuple(learned))


def _messages(value: object, name: str, place: str) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value or not all(map(_is_message, value)):
        raise _invalid(place, f'{name} must be a list of {{"role": {"|".join(ROLES)}, "content": text}}')
    return tuple({"role": message["role"], "content": message["content"]} for message in value)


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and value.get("role") in ROLES and isinstance(value.get("content"), str)


def _are_answers(places: object, completion: Sequence[Message]) -> bool:
    if not isinstance(places, list) or not places:
        return False
    return all(type(n) is int and 0 <= n < len(completion) and completion[n]["role"] == "assistant" for n in places)


def _invalid(place: str, what: str) -> NeedsEdit:
    return NeedsEdit(FaultReason.GOLDEN_SET_INVALID, f"{place} {what}: mend the golden set, or remove the file to have one frozen anew")
