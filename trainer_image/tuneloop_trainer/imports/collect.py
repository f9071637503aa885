"""Imports in order: keys, layouts, sessions, entries; and the count of all that gave none."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from tuneloop_contracts.dataset import Count, ImportCounts
from tuneloop_contracts.jobs import HarvestConfig, Import
from tuneloop_trainer.curate.example import Entry
from tuneloop_trainer.imports.entries import entry_of, is_newer, unique_name
from tuneloop_trainer.imports.formats import FORMATS
from tuneloop_trainer.imports.layout import Exchange, HistoryMessage
from tuneloop_trainer.imports.scan import KeyReader
from tuneloop_trainer.imports.sessions import exchanges_of

log = logging.getLogger("tuneloop")

NEWER = "newer than the window"
GONE = "gone before it was read"


@dataclass(frozen=True)
class ImportedEntries:
    """What imports gave, and for each how much."""

    entries: tuple[Entry, ...]
    """Newest first."""
    counts: tuple[ImportCounts, ...]


def read_imports(keys: KeyReader, config: HarvestConfig) -> ImportedEntries:
    entries: list[Entry] = []
    counts = []
    for wanted in config.imports:
        found, skipped = _read(keys, wanted)
        kept = [(name, exchange) for name, exchange in found if not is_newer(exchange, config)]
        skipped[NEWER] += len(found) - len(kept)
        entries += [entry_of(exchange, name, config) for name, exchange in kept]
        counts.append(_counted(wanted, len(kept), skipped))
    return ImportedEntries(tuple(sorted(entries, key=attrgetter("at"), reverse=True)), tuple(counts))


def _read(keys: KeyReader, wanted: Import) -> tuple[list[tuple[str, Exchange]], Counter[str]]:
    """Exchanges by what is unique to each."""
    layouts = FORMATS[wanted.format]
    names = sorted({key for prefix in ((wanted.prefix,) if wanted.prefix else layouts.prefixes) for key in keys.below(prefix)})
    found: list[tuple[str, Exchange]] = []
    said: list[HistoryMessage] = []
    skipped: Counter[str] = Counter()
    read = 0
    for stored in keys.values(names):
        read += 1
        imported = layouts.parse(stored)
        if isinstance(imported, str):
            skipped[imported] += 1
            continue
        found += [(unique_name(wanted.format, stored.key, 0), one) for one in imported if isinstance(one, Exchange)]
        said += [one for one in imported if isinstance(one, HistoryMessage)]
    skipped[GONE] += len(names) - read
    return [*found, *_conversations(wanted, said)], skipped


def _conversations(wanted: Import, said: list[HistoryMessage]) -> Iterator[tuple[str, Exchange]]:
    for place, exchange in exchanges_of(said):
        yield unique_name(wanted.format, exchange.session, place), exchange


def _counted(wanted: Import, imported: int, skipped: Counter[str]) -> ImportCounts:
    counts = tuple(Count(name=reason, count=count) for reason, count in skipped.most_common() if count)
    said = ", ".join(f"{count.count} keys {count.name}" for count in counts) or "no key skipped"
    log.info("imports: %s %s: %d interactions; %s", wanted.format, wanted.prefix or "(its own keys)", imported, said)
    return ImportCounts(format=wanted.format, prefix=wanted.prefix, imported=imported, skipped=counts)
