"""The harvest in order: watermarks, feedback, imports, entries, curation, dataset."""

import gc
import heapq
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from tuneloop_contracts.dataset import Dataset, ImportCounts
from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.record import Feedback
from tuneloop_contracts.stores import Store
from tuneloop_trainer.config import moment
from tuneloop_trainer.curate.example import Recorded
from tuneloop_trainer.curate.funnel import curate, offer_share
from tuneloop_trainer.curate.golden import Golden
from tuneloop_trainer.curate.offer import offering
from tuneloop_trainer.curate.redact.find import find
from tuneloop_trainer.curate.redact.span import Find
from tuneloop_trainer.errors import TryLater
from tuneloop_trainer.golden import every_golden
from tuneloop_trainer.harvest.archive import Archive
from tuneloop_trainer.harvest.connect import connect
from tuneloop_trainer.harvest.dataset import ReadSummary, dataset_store, finished_dataset, freeze_golden_sets, write_dataset
from tuneloop_trainer.harvest.parts import PartWriter, has_part, header_of, part_store, parts_there, read_part, remove_parts_of
from tuneloop_trainer.harvest.retry import RetryPolicy
from tuneloop_trainer.harvest.segments import archive_store
from tuneloop_trainer.harvest.shares import ALONE, OfferLookup, OfferWriter, Share
from tuneloop_trainer.harvest.source import Source, Watermark, Watermarks
from tuneloop_trainer.imports.collect import read_imports
from tuneloop_trainer.imports.scan import KeyReader
from tuneloop_trainer.reporting import Reporter
from tuneloop_trainer.store import check_writable, get_bytes, put_bytes, remove_file

log = logging.getLogger("tuneloop")

STAGE = "Harvesting"
OBJECTS = 500_000
"""New ones, between two looks for cycles: some hundred megabytes at most, if all of them were in one."""
LEAST_WAIT = 900.0
"""Seconds in which the other pods get a node and their image."""
PAUSE = 2.0
"""Seconds between two looks whether they are done."""


class WindowData(NamedTuple):
    """All that is read for a dataset."""

    entries: Iterator[Recorded]
    """Newest first."""
    feedback: Mapping[str, Feedback]
    imported: tuple[ImportCounts, ...]


@dataclass(frozen=True)
class Harvest:
    config: HarvestConfig
    reporter: Reporter
    find: Find = find
    """What is taken out of texts, unless the job keeps all."""
    share: Share = ALONE
    """What this pod works out, if there are several."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def run(self, url: str, *, now: datetime) -> Dataset:
        """Of the only pod, or the first. Raises TryLater or NeedsEdit. A dataset that an earlier pod finished is given again, Redis
        unasked."""
        check_writable(Store(self.config.datasets_uri))
        if dataset := finished_dataset(self.config):
            log.info("harvest: %s is already there", dataset.uri)
        else:
            with self._source(url) as source, rarely_looking_for_cycles():
                if self.share.pods > 1:
                    began = self.clock()
                    self._write_part(source, now)
                    self._await_parts(max(LEAST_WAIT, self.clock() - began))
                dataset = self._collect(source, now)
            remove_file(self._watermarks_file)
            log_funnel(dataset)
        freeze_golden_sets(self.config, dataset)
        remove_parts_of(self.config)
        return dataset

    def run_share(self, url: str, *, now: datetime) -> None:
        """Of any other pod. Raises TryLater or NeedsEdit. Nothing is left to do where the first one could not wait for it."""
        check_writable(Store(self.config.datasets_uri))
        if finished_dataset(self.config):
            return
        with self._source(url) as source, rarely_looking_for_cycles():
            self._write_part(source, now)
        if finished_dataset(self.config):
            remove_parts_of(self.config)

    @contextmanager
    def _source(self, url: str) -> Iterator[Source]:
        retry = RetryPolicy(self.reporter.waiting, self.clock, self.sleep)
        with retry.call(lambda: connect(url, self.config.redis_mode)) as client:
            yield Source(client, retry, self.config.target, moment(self.config.window_start), moment(self.config.window_end))

    def _write_part(self, source: Source, now: datetime) -> None:
        """From Redis alone: what only an archive holds is left to the first pod, and so is the sealing. A pod that is tried again finds
        what it finished."""
        golden = self._golden()
        header, store = header_of(self.config, golden), part_store(self.config, self.share.index)
        if has_part(store, header):
            return
        part = PartWriter(header)
        with self._window(source, replace(source), now, tells=True) as window:
            writer = OfferWriter(offering(self.config, golden, self.find), part)
            offer_share(self.share.of(window.entries), window.feedback, self.config, writer)
        part.finish(store)

    def _await_parts(self, most: float) -> None:
        """Seconds: the other pods have as much to do as this one had. What is not there then is worked out here."""
        deadline, wanted = self.clock() + most, set(range(self.share.pods))
        while missing := wanted - parts_there(self.config):
            if self.clock() >= deadline:
                log.warning("harvest: no part of pod %s: its share is worked out here", ", ".join(map(str, sorted(missing))))
                return
            self.sleep(PAUSE)

    def _collect(self, source: Source, now: datetime) -> Dataset:
        golden, alone = self._golden(), self.share.pods == 1
        record = Archive(source, self._archive) if self.config.archive else source
        offer = offering(self.config, golden, self.find)
        if not alone:
            header = header_of(self.config, golden)
            offer = OfferLookup([read_part(part_store(self.config, index), header) for index in range(self.share.pods)], offer)
        with self._window(source, record, now, tells=alone) as window:
            curated = curate(window.entries, window.feedback, self.config, golden, self.find, offer)
        streams = tuple(stream for stream in reversed(record.streams) if stream.count or stream.lost)
        return write_dataset(curated, ReadSummary(record.lost, streams, window.imported), self.config)

    @contextmanager
    def _window(self, source: Source, record: Source | Archive, now: datetime, *, tells: bool) -> Iterator[WindowData]:
        """`tells`: whether this is the reading that takes the time, and so is told of."""
        self.reporter.progress(STAGE, 0 if tells else None)
        shards = source.shards()
        watermarks = self._remembered(source.read_watermarks(shards))
        feedback = record.feedback(shards, now)
        imported = read_imports(KeyReader(source.client, source.retry), self.config)
        with closing(record.entries(watermarks)) as recorded:
            told = self._with_progress(recorded, watermarks) if tells else recorded
            yield WindowData(heapq.merge(told, imported.entries, key=attrgetter("at"), reverse=True), feedback, imported.counts)
        source.confirm(shards)
        if source.forgot_somebody():
            remove_file(self._watermarks_file)  # it counts what is no longer to be read
            raise TryLater(FaultReason.DATA_LOST, "somebody was forgotten while the harvest read: the next try reads without them")

    def _golden(self) -> Golden:
        return Golden(every_golden(Store(self.config.datasets_uri), self.config.target))

    def _remembered(self, watermarks: Watermarks) -> Watermarks:
        """What an earlier pod of this job saw counts too: else a flush between two pods would pass for an idle target. Its watermarks
        stay, so that every pod reads the same."""
        earlier = {
            name: Watermark(added, (at[0], at[1])) for name, (added, at) in json.loads(get_bytes(self._watermarks_file) or b"{}").items()
        }
        first = watermarks | earlier
        whole = {
            name: first[name]._replace(added=max(seen[name].added for seen in (watermarks, earlier) if name in seen)) for name in first
        }
        put_bytes(self._watermarks_file, json.dumps(whole).encode())
        return whole

    @property
    def _archive(self) -> Store:
        return archive_store(Store(self.config.datasets_uri), self.config.target)

    @property
    def _watermarks_file(self) -> Store:
        store = dataset_store(self.config)
        folder, name = store.uri.rsplit("/", 1)
        return Store(folder).below(f".{name}.stock.json")

    def _with_progress(self, entries: Iterator[Recorded], watermarks: Watermarks) -> Iterator[Recorded]:
        total = max(1, sum(watermark.added for watermark in watermarks.values()))
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
