"""`import` and `export`: files of chats in OpenAI's format, to a dataset and back."""

import argparse
import hashlib
import os
import sys
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from tuneloop_contracts.dataset import HELD_OUT_FILE, TRAIN_FILE, Count, Dataset, ImportCounts
from tuneloop_contracts.domains import DEFAULT_DOMAINS, Domain
from tuneloop_contracts.jobs import CONFIG_ENV, EXIT_DONE, HarvestConfig
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.stores import Store
from tuneloop_trainer.config import harvest_config, store_at
from tuneloop_trainer.curate.example import Entry
from tuneloop_trainer.curate.funnel import curate
from tuneloop_trainer.curate.golden import Golden
from tuneloop_trainer.curate.redact.presidio import finder
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.golden import every_golden
from tuneloop_trainer.harvest.collect import log_funnel
from tuneloop_trainer.harvest.dataset import ReadSummary, write_dataset
from tuneloop_trainer.imports.entries import entry_of
from tuneloop_trainer.imports.layout import Exchange, Unusable, text_of
from tuneloop_trainer.openai_chat import exchanges_of, line_of
from tuneloop_trainer.rows import Row
from tuneloop_trainer.store import check_writable, get_bytes
from tuneloop_trainer.table import as_table

FORMAT = "OpenAIChat"
LINE = '{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}'
PARTS = {"train": TRAIN_FILE, "held-out": HELD_OUT_FILE}


def import_chats(options: argparse.Namespace, env: Mapping[str, str], *, now: datetime) -> int:
    """Through the same curation as what is recorded. Raises NeedsEdit, and TryLater where the store cannot be written."""
    content = _content(options.file)
    config = harvest_config({CONFIG_ENV: _wish(options, content, now).model_dump_json(by_alias=True)})
    check_writable(Store(config.datasets_uri))
    found, skipped = exchanges_in(content)
    if not found:
        raise NeedsEdit(
            FaultReason.INVALID_CONFIG,
            f"--file {options.file}: no line has an answer to learn{_counted(skipped)}; a line must be {LINE}, in UTF-8",
        )
    entries = [_entry(exchange, place, config, options.domain) for place, exchange in enumerate(found)]
    golden = Golden(every_golden(Store(config.datasets_uri), config.target))
    curated = curate(reversed(entries), {}, config, golden, finder(env))
    counts = tuple(Count(name=reason, count=len(lines)) for reason, lines in sorted(skipped.items(), key=lambda one: -len(one[1])))
    imported = ImportCounts(format=FORMAT, prefix="", imported=len(entries), skipped=counts)
    dataset = write_dataset(curated, ReadSummary(imported=(imported,)), config)
    log_funnel(dataset)
    print(as_text(dataset, imported, skipped))
    return EXIT_DONE


def export_chats(options: argparse.Namespace) -> int:
    """To stdout, as far as it is read. Raises NeedsEdit where there is no dataset."""
    name = PARTS[options.part]
    content = get_bytes(store_at(options.dataset).below(name))
    if content is None:
        raise NeedsEdit(FaultReason.INVALID_CONFIG, f"--dataset {options.dataset}: holds no {name}; name a job's status.dataset.uri")
    try:
        for line in content.splitlines():
            sys.stdout.buffer.write(line_of(Row.from_line(line.decode())).encode())
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # its reader has seen enough; Python flushes once more as it ends, and would complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_DONE


def exchanges_in(content: bytes) -> tuple[list[Exchange], dict[str, list[int]]]:
    """Of every line, each a conversation of its own; and for each reason the numbers of the lines that gave none."""
    mark = hashlib.sha256(content).hexdigest()
    found: list[Exchange] = []
    skipped: dict[str, list[int]] = {}
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            found += exchanges_of(text_of(line), session=f"{mark} {number}") if line.strip() else ()
        except Unusable as unusable:
            skipped.setdefault(unusable.reason, []).append(number)
    return found, skipped


def as_text(dataset: Dataset, imported: ImportCounts, skipped: Mapping[str, Sequence[int]]) -> str:
    domains = [(domain.name, str(domain.train), str(domain.held_out), domain.reason or "") for domain in dataset.domains]
    lines = as_table(("DOMAIN", "TRAIN", "HELD OUT", ""), domains)
    reference = f"data.datasetRef: {{uri: {dataset.uri}, digest: {dataset.digest}}}"
    return f"{lines}\n{imported.imported} answers read, {dataset.kept} kept{_counted(skipped)}\n{reference}"


def _counted(skipped: Mapping[str, Sequence[int]]) -> str:
    """Each reason with the number of its first line."""
    return "".join(f", {len(lines)} lines skipped, line {lines[0]} first: {reason}" for reason, lines in skipped.items())


def _wish(options: argparse.Namespace, content: bytes, now: datetime) -> HarvestConfig:
    """Named by the file's content: the same file is the same dataset."""
    namespace = options.target.split("/")[0]
    return HarvestConfig(
        job=f"{namespace}/import-{hashlib.sha256(content).hexdigest()[:12]}",
        target=options.target,
        window_start=(now - timedelta(days=1)).isoformat(),
        window_end=now.isoformat(),
        domains=_domains(options.domain),
        selected=(options.domain,) if options.domain else (),
        min_examples_per_domain=options.min_examples,
        datasets_uri=options.datasets,
    )


def _domains(named: str) -> tuple[Domain, ...]:
    """The default ones, and one that only the target has."""
    known = {domain.name for domain in DEFAULT_DOMAINS}
    if not named or named in known:
        return DEFAULT_DOMAINS
    try:
        return (*DEFAULT_DOMAINS, Domain(name=named))
    except ValidationError:
        raise NeedsEdit(FaultReason.INVALID_CONFIG, f"--domain {named!r}: must be a DNS label of at most 40 characters") from None


def _entry(exchange: Exchange, place: int, config: HarvestConfig, domain: str) -> Entry:
    """A file has no times: later lines count as newer."""
    entry = entry_of(exchange, f"{exchange.session} {place}", config)
    record = entry.record
    return Entry((entry.at[0] + place, 0), record._replace(domain=domain, tagged=bool(domain)) if record else None)


def _content(file: str) -> bytes:
    """A local path, or a URI in a store."""
    try:
        content = get_bytes(store_at(file)) if "://" in file else Path(file).read_bytes()
    except OSError as error:
        raise NeedsEdit(FaultReason.INVALID_CONFIG, f"--file {file} cannot be read ({type(error).__name__})") from None
    if content is None:
        raise NeedsEdit(FaultReason.INVALID_CONFIG, f"--file {file}: no such file")
    return content.removeprefix(BOM_UTF8)
