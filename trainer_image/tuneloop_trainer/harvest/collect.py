"""The harvest in order: stock, feedback, imports, entries, curation, dataset."""

import gc
import heapq
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from tuneloop_contracts.dataset import Dataset
from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_contracts.stores import Store
from tuneloop_trainer.config import moment
from tuneloop_trainer.curate.example import Recorded
from tuneloop_trainer.curate.funnel import curate
from tuneloop_trainer.curate.golden import Golden
from tuneloop_trainer.curate.redact.find import find
from tuneloop_trainer.curate.redact.span import Find
from tuneloop_trainer.golden import read_golden
from tuneloop_trainer.harvest.archive import Archive
from tuneloop_trainer.harvest.connect import connect
from tuneloop_trainer.harvest.dataset import Reading, dataset_store, finished_dataset, freeze_golden_sets, golden_of, write_dataset
from tuneloop_trainer.harvest.patience import Patience
from tuneloop_trainer.harvest.segments import archive_store
from tuneloop_trainer.harvest.source import Source, Stock, Stocked
from tuneloop_trainer.imports.collect import bring
from tuneloop_trainer.imports.scan import Keys
from tuneloop_trainer.reporting import Reporter
from tuneloop_trainer.store import check_writable, get_bytes, put_bytes, remove_file

log = logging.getLogger("tuneloop")

STAGE = "Harvesting"
OBJECTS = 500_000
"""New ones, between two looks for cycles: some hundred megabytes at most, if all of them were in one."""


@dataclass(frozen=True)
class Harvest:
    config: HarvestConfig
    reporter: Reporter
    find: Find = find
    """What is taken out of texts, unless the job keeps all."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def run(self, url: str, *, now: datetime) -> Dataset:
        """Raises TryLater or NeedsEdit. A dataset that an earlier pod finished is given again, Redis unasked."""
        check_writable(Store(self.config.datasets_uri))
        if dataset := finished_dataset(self.config):
            log.info("harvest: %s is already there", dataset.uri)
            freeze_golden_sets(self.config, dataset)
            return dataset
        patience = Patience(self.reporter.waiting, self.clock, self.sleep)
        with patience.call(lambda: connect(url, self.config.redis_mode)) as client:
            window = (moment(self.config.window_start), moment(self.config.window_end))
            source = Source(client, patience, self.config.target, *window)
            with rarely_looking_for_cycles():
                dataset = self._collect(source, now)
        freeze_golden_sets(self.config, dataset)
        remove_file(self._stock_file)
        log_funnel(dataset)
        return dataset

    def _collect(self, source: Source, now: datetime) -> Dataset:
        self.reporter.progress(STAGE, 0)
        golden = Golden(row for domain in self.config.domains for row in read_golden(golden_of(self.config, domain.name)))
        record = Archive(source, self._archive) if self.config.archive else source
        shards = source.shards()
        stock = self._remembered(source.take_stock(shards))
        feedback = record.feedback(shards, now)
        brought = bring(Keys(source.client, source.patience), self.config)
        with closing(record.entries(stock)) as recorded:
            entries = heapq.merge(self._with_progress(recorded, stock), brought.entries, key=attrgetter("at"), reverse=True)
            curated = curate(entries, feedback, self.config, golden, self.find)
        source.confirm(shards)
        streams = tuple(stream for stream in reversed(record.streams) if stream.count or stream.lost)
        return write_dataset(curated, Reading(record.lost, streams, brought.counts), self.config)

    def _remembered(self, stock: Stock) -> Stock:
        """What an earlier pod of this job saw counts too: else a flush between two pods would pass for an idle target. Its watermarks
        stay, so that every pod reads the same."""
        earlier = {name: Stocked(added, (at[0], at[1])) for name, (added, at) in json.loads(get_bytes(self._stock_file) or b"{}").items()}
        first = stock | earlier
        whole = {name: first[name]._replace(added=max(seen[name].added for seen in (stock, earlier) if name in seen)) for name in first}
        put_bytes(self._stock_file, json.dumps(whole).encode())
        return whole

    @property
    def _archive(self) -> Store:
        return archive_store(Store(self.config.datasets_uri), self.config.target)

    @property
    def _stock_file(self) -> Store:
        store = dataset_store(self.config)
        folder, name = store.uri.rsplit("/", 1)
        return Store(folder).below(f".{name}.stock.json")

    def _with_progress(self, entries: Iterator[Recorded], stock: Stock) -> Iterator[Recorded]:
        total = max(1, sum(stocked.added for stocked in stock.values()))
        for count, entry in enumerate(entries, start=1):
            if count % 1000 == 0:
                self.reporter.progress(STAGE, min(99, 100 * count / total), entries=str(count))
            yield entry


@contextmanager
def rarely_looking_for_cycles() -> Iterator[None]:
    """Entries and rows refer to each other in no circle, but make Python's collector look for one in all that is kept, each time that
    700 objects came: a fifth of the time of reading."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def log_funnel(dataset: Dataset) -> None:
    """For people: what was read, what became of it. Counts only."""
    if dataset.kept and not dataset.outside_signal:
        log.warning("harvest: nobody judged an answer (no thumb, no correction): adapters will only learn what the model already says")
    quarantined = ", ".join(f"{count.name} {count.count}" for count in dataset.quarantined)
    if quarantined:
        log.warning("harvest: quarantined, as they look like poison: %s", quarantined)
    dropped = ", ".join(f"{count.name} {count.count}" for count in dataset.dropped) or "nothing"
    redacted = ", ".join(f"{count.name} {count.count}" for count in dataset.redacted) or "nothing"
    log.info("harvest: read %d, kept %d, lost %d; dropped: %s; redacted: %s", dataset.read, dataset.kept, dataset.lost, dropped, redacted)
    for domain in dataset.domains:
        sides = f"{domain.train} to train, {domain.held_out} held out, {domain.time_forward} newest"
        log.info("harvest: %s: %s %s", domain.name, sides, domain.reason or "")
