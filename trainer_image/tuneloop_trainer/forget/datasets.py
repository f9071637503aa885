"""One person's rows in datasets, and in the golden sets made from them."""

import json
from collections.abc import Collection
from dataclasses import dataclass

from tuneloop_contracts.base import digest_of_contents
from tuneloop_contracts.dataset import MANIFEST_FILE, SUMMARY_FILE, USERS_FILE, Dataset, DatasetManifest
from tuneloop_contracts.model import Wire
from tuneloop_contracts.stores import Store
from tuneloop_trainer.golden import FOLDER, OWNERS_FILE
from tuneloop_trainer.harvest.dataset import stored_digest
from tuneloop_trainer.store import get_bytes, list_files, put_bytes

GOLDEN = f"{FOLDER}/"
ROWS = ".jsonl"


@dataclass(frozen=True)
class DatasetRows:
    """A dataset that holds rows of the person."""

    store: Store
    files: tuple[str, ...]
    """Those with rows."""
    ids: frozenset[str]
    """Of the person's rows."""
    digests: frozenset[str]
    """Its own, and those that it had before rows were taken out of it."""
    rows: int


@dataclass(frozen=True)
class GoldenRows:
    """A golden set that holds rows of the person, or the file that says so; that comes last."""

    store: Store
    ids: frozenset[str]
    found: int

    @property
    def rows(self) -> int:
        return 0 if _is_owners(self.store) else self.found


def find_datasets(datasets: Store, person: str) -> list[DatasetRows]:
    paths = list_files(datasets)
    folders = [path.removesuffix(f"/{USERS_FILE}") for path in paths if path.endswith(f"/{USERS_FILE}")]
    found = [_in_dataset(datasets.below(*folder.split("/")), _names(paths, folder), person) for folder in folders]
    return [one for one in found if one.ids]


def find_golden(datasets: Store, ids: Collection[str], person: str) -> list[GoldenRows]:
    """By the ids of what they were answered, and by what was noted of each row when it was frozen: that outlives its dataset."""
    paths = [path for path in list_files(datasets) if path.startswith(GOLDEN) and path.endswith(ROWS)]
    stores = [datasets.below(*path.split("/")) for path in paths]
    noted = {line for store in stores if _is_owners(store) for line in _owned(store, person)}
    every = frozenset(noted.union(ids))
    found = [GoldenRows(store, every, len(_lines(store)) - len(_without(_lines(store), every))) for store in stores]
    return sorted((golden for golden in found if golden.found), key=lambda golden: _is_owners(golden.store))


def remove_from_dataset(dataset: DatasetRows) -> None:
    """Rows first, what is said of them next, and whose they were last. A job that was to train exactly this dataset refuses it from now
    on: its digest is another."""
    for name in dataset.files:
        _remove(dataset.store.below(name), dataset.ids)
    _restate(dataset)
    users = dataset.store.below(USERS_FILE)
    _put_lines(users, _without(_lines(users), dataset.ids))


def remove_from_golden(golden: GoldenRows) -> None:
    _remove(golden.store, golden.ids)


def _in_dataset(store: Store, files: tuple[str, ...], person: str) -> DatasetRows:
    ids = frozenset(_owned(store.below(USERS_FILE), person))
    lines = [_lines(store.below(name)) for name in files] if ids else []
    rows = sum(len(one) - len(_without(one, ids)) for one in lines)
    summary, manifest = _summary(store), _manifest(store)
    digests = {summary.digest if summary else "", *(manifest.earlier_digests if manifest else ())} - {""}
    return DatasetRows(store, files, ids, frozenset(digests), rows)


def _restate(dataset: DatasetRows) -> None:
    """Digests of what is left, and that something is missing."""
    digest = stored_digest(dataset.store)
    if manifest := _manifest(dataset.store):
        files = {name: _digest_without(dataset, name) if name.endswith(ROWS) else was for name, was in manifest.files.items()}
        changes = {"files": files, "erased": manifest.erased + dataset.rows, "earlier_digests": tuple(sorted(dataset.digests))}
        _put_json(dataset.store.below(MANIFEST_FILE), manifest.model_copy(update=changes))
    if summary := _summary(dataset.store):
        _put_json(dataset.store.below(SUMMARY_FILE), summary.model_copy(update={"digest": digest}))


def _names(paths: list[str], folder: str) -> tuple[str, ...]:
    names = [path.removeprefix(f"{folder}/") for path in paths if path.startswith(f"{folder}/")]
    return tuple(name for name in names if "/" not in name and name.endswith(ROWS) and name != USERS_FILE)


def _summary(store: Store) -> Dataset | None:
    content = get_bytes(store.below(SUMMARY_FILE))
    return Dataset.model_validate_json(content) if content else None


def _manifest(store: Store) -> DatasetManifest | None:
    content = get_bytes(store.below(MANIFEST_FILE))
    return DatasetManifest.model_validate_json(content) if content else None


def _lines(store: Store) -> list[str]:
    """Cut as bytes, where only a newline ends one: a text would also be cut at U+2028 and the like, which JSON leaves as they are."""
    return [line.decode() for line in (get_bytes(store) or b"").splitlines(keepends=True)]


def _without(lines: list[str], ids: Collection[str]) -> list[str]:
    return [line for line in lines if _id_of(line) not in ids]


def _id_of(line: str) -> str:
    """ "" for a line of somebody's own golden set, which needs none, and for what is no row at all."""
    try:
        fields = json.loads(line)
    except ValueError:
        return ""
    return str(fields.get("id", "")) if isinstance(fields, dict) else ""


def _owned(owners: Store, person: str) -> list[str]:
    """Ids of a person's rows, by a file that says whose each is."""
    known = [json.loads(line) for line in _lines(owners)]
    return [one["id"] for one in known if one["user"] == person]


def _is_owners(store: Store) -> bool:
    return store.uri.endswith(f"/{OWNERS_FILE}")


def _remove(store: Store, ids: Collection[str]) -> None:
    _put_lines(store, _without(_lines(store), ids))


def _put_lines(store: Store, lines: list[str]) -> None:
    put_bytes(store, "".join(lines).encode())


def _put_json(store: Store, document: Wire) -> None:
    put_bytes(store, (json.dumps(document.to_wire(), indent=2, ensure_ascii=False) + "\n").encode())


def _digest_without(dataset: DatasetRows, name: str) -> str:
    """Of a file as it is, or is to be, without the person."""
    left = "".join(_without(_lines(dataset.store.below(name)), dataset.ids))
    return digest_of_contents({name: left.encode()})
