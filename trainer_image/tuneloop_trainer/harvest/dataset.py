"""The files of a dataset, and whether a store holds the finished one already."""

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from tuneloop_contracts.base import digest_of
from tuneloop_contracts.dataset import DATA_FILES, HELD_OUT_FILE, MANIFEST_FILE, SUMMARY_FILE, USERS_FILE, Dataset, ImportCounts, StreamRead
from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_contracts.stores import Store
from tuneloop_trainer.config import inputs_digest
from tuneloop_trainer.curate.funnel import Curated
from tuneloop_trainer.golden import freeze_golden, golden_store, owners_store, read_golden
from tuneloop_trainer.harvest.manifest import manifest_of
from tuneloop_trainer.rows import read_rows, write_rows, write_users
from tuneloop_trainer.store import get_bytes, get_folder, publish_folder, put_bytes

INPUTS_FILE = "inputs.sha256"
"""Beside the dataset: the digest of the configuration that it was harvested by."""


def dataset_store(config: HarvestConfig) -> Store:
    """`<datasets>/<namespace>/<job>-<uid8>`: a job that was deleted and made again does not find the old one's."""
    namespace, name = config.job.split("/")
    return Store(config.datasets_uri).below(namespace, f"{name}-{config.job_uid[:8]}" if config.job_uid else name)


def finished_dataset(config: HarvestConfig) -> Dataset | None:
    """What an earlier pod of this job wrote from the same configuration, if its files still are what they were."""
    store = dataset_store(config)
    summary, inputs = get_bytes(store.below(SUMMARY_FILE)), get_bytes(store.below(INPUTS_FILE))
    if summary is None or inputs is None or inputs.decode() != inputs_digest(config):
        return None
    try:
        dataset = Dataset.model_validate_json(summary)
    except ValidationError:
        return None
    return dataset if stored_digest(store) == dataset.digest else None


def stored_digest(store: Store) -> str:
    """Of the data files as the store has them; "" if one is missing."""
    with TemporaryDirectory() as folder:
        try:
            get_folder(store, DATA_FILES, Path(folder))
        except FileNotFoundError:
            return ""
        return digest_of([Path(folder) / name for name in DATA_FILES])


@dataclass(frozen=True)
class ReadSummary:
    """What was read for a dataset, beside the rows that came of it."""

    lost: int = 0
    streams: tuple[StreamRead, ...] = ()
    imported: tuple[ImportCounts, ...] = ()


def write_dataset(curated: Curated, reading: ReadSummary, config: HarvestConfig) -> Dataset:
    """Whole or not at all; the same rows always give the same digest."""
    store = dataset_store(config)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, rows in zip(DATA_FILES, (curated.train, curated.held_out, curated.time_forward), strict=True):
            write_rows(folder / name, rows)
        dataset = Dataset(
            uri=store.uri, digest=digest_of([folder / name for name in DATA_FILES]), from_=config.window_start, to=config.window_end,
            read=curated.read, kept=curated.kept, lost=reading.lost, dropped=curated.dropped, quarantined=curated.quarantined,
            imported=reading.imported, outside_signal=curated.outside_signal, redacted=curated.redacted, domains=curated.domains,
        )  # fmt: skip
        write_users(folder / USERS_FILE, curated.users)
        manifest = manifest_of(curated, config, list(folder.iterdir()), reading.streams, reading.imported)
        (folder / MANIFEST_FILE).write_text(json.dumps(manifest.to_wire(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / INPUTS_FILE).write_text(inputs_digest(config), encoding="utf-8")
        (folder / SUMMARY_FILE).write_text(json.dumps(dataset.to_wire(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        publish_folder(folder, store, marker=SUMMARY_FILE, replace=True)
    return dataset


def golden_of(config: HarvestConfig, domain: str) -> Store:
    return golden_store(Store(config.datasets_uri), config.target, domain)


def freeze_golden_sets(config: HarvestConfig, dataset: Dataset) -> None:
    """After the dataset is whole: a pod that finds it finished does this again, and to the same effect."""
    if not any(domain.held_out for domain in dataset.domains if domain.reason is None):
        return
    with TemporaryDirectory() as folder:
        get_folder(Store(dataset.uri), (HELD_OUT_FILE,), Path(folder))
        rows = read_rows(Path(folder) / HELD_OUT_FILE)
    for name in dataset.trainable:
        freeze_golden(golden_of(config, name), [row for row in rows if row.domain == name])
    _keep_owners(config, Store(dataset.uri), {row.id for name in dataset.trainable for row in read_golden(golden_of(config, name))})


def _keep_owners(config: HarvestConfig, dataset: Store, frozen: set[str]) -> None:
    """Of the frozen rows that are this dataset's; those of earlier ones are known already."""
    owners = owners_store(Store(config.datasets_uri), config.target)
    known, of_dataset = ((get_bytes(file) or b"").decode().splitlines() for file in (owners, dataset.below(USERS_FILE)))
    lines = {*known, *(line for line in of_dataset if json.loads(line)["id"] in frozen)}
    if lines > set(known):
        put_bytes(owners, "".join(f"{line}\n" for line in sorted(lines)).encode())
