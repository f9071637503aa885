"""Entries in, rows out, and the count of every reason for which one was dropped: read = kept + dropped."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tuneloop_contracts.dataset import INSUFFICIENT, Count, DomainCounts
from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.record import Feedback
from tuneloop_trainer.curate.admit import MALFORMED, REPEATED_ENTRY, candidate, drop_reason
from tuneloop_trainer.curate.distinct import SET_RULES
from tuneloop_trainer.curate.example import Entry, Example
from tuneloop_trainer.curate.redact.replace import redact_example
from tuneloop_trainer.curate.split import Split, split
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.rows import Row

MAX_NAMED_TENANTS = 5


@dataclass(frozen=True)
class Curated:
    train: tuple[Row, ...]
    held_out: tuple[Row, ...]
    read: int
    kept: int
    """Rows that passed every rule; those of a domain that is short are counted too, but not written."""
    dropped: tuple[Count, ...]
    outside_signal: int
    """Interactions that a person judged, whatever became of them."""
    redacted: tuple[Count, ...]
    domains: tuple[DomainCounts, ...]
    users: Mapping[str, str]
    """Whose a row is, by its id: a keyed hash, or "" for somebody unknown."""


def curate(entries: Iterable[Entry], feedback: Mapping[str, Feedback], config: HarvestConfig) -> Curated:
    """`feedback`: by interaction, oldest first. Raises NeedsEdit (SEVERAL_TENANTS) where mixing tenants was not asked for."""
    known = list(entries)
    said = of_origins(feedback, known)
    judged = len({entry.record.id for entry in known if entry.record and entry.record.id in said})
    examples, read, dropped = _admitted(known, said, config)
    for reason, rule in SET_RULES:
        kept = rule(examples, config)
        dropped[reason] += len(examples) - len(kept)
        examples = kept
    return _counted(split(examples, config), read, dropped, judged, config)


def of_origins(feedback: Mapping[str, Feedback], entries: Iterable[Entry]) -> dict[str, Feedback]:
    """What was said of a cache hit was said of the answer that it repeats; the newest word counts."""
    origins = {entry.record.id: entry.record.origin for entry in entries if entry.record and entry.record.origin}
    return {origins.get(interaction, interaction): said for interaction, said in feedback.items()}


def _admitted(
    entries: Iterable[Entry], feedback: Mapping[str, Feedback], config: HarvestConfig
) -> tuple[list[Example], int, Counter[str]]:
    examples: list[Example] = []
    dropped: Counter[str] = Counter()
    ids: set[str] = set()
    tenants: set[str] = set()
    read = 0
    for entry in entries:
        read += 1
        record = entry.record
        if record is None or record.id in ids:
            dropped[REPEATED_ENTRY if record else MALFORMED] += 1
            continue
        ids.add(record.id)
        tenants.add(record.tenant)
        seen = candidate(entry.at, record, feedback.get(record.id), config)
        if reason := drop_reason(seen, config):
            dropped[reason] += 1
        else:
            examples.append(redact_example(seen.to_example()) if config.curation.pii == "Redact" else seen.to_example())
    if len(tenants) > 1 and not config.tenants:
        raise NeedsEdit(FaultReason.SEVERAL_TENANTS, _several(tenants))
    return examples, read, dropped


def _several(tenants: set[str]) -> str:
    named = ", ".join(sorted(tenants)[:MAX_NAMED_TENANTS]) + (", ..." if len(tenants) > MAX_NAMED_TENANTS else "")
    return f"the records hold {len(tenants)} tenants ({named}): name in data.tenants those that may share an adapter"


def _counted(sides: Split, read: int, dropped: Counter[str], judged: int, config: HarvestConfig) -> Curated:
    domains = _domain_counts(sides, config)
    enough = {domain.name for domain in domains if domain.reason is None}
    train = tuple(example for example in sides.train if example.domain in enough)
    held_out = tuple(example for example in sides.held_out if example.domain in enough)
    redacted = Counter(kind for example in (*train, *held_out) for kind in example.redacted)
    return Curated(
        train=tuple(example.to_row() for example in train),
        held_out=tuple(example.to_row() for example in held_out),
        read=read,
        kept=len(sides.train) + len(sides.held_out),
        dropped=_counts(dropped),
        outside_signal=judged,
        redacted=_counts(redacted),
        domains=domains,
        users={example.id: example.user for example in (*train, *held_out)},
    )


def _domain_counts(sides: Split, config: HarvestConfig) -> tuple[DomainCounts, ...]:
    """Every domain that was asked for, in the target's order, also one without a single row."""
    train, held = (Counter(example.domain for example in side) for side in (sides.train, sides.held_out))
    names = [domain.name for domain in config.domains if not config.selected or domain.name in config.selected]
    return tuple(
        DomainCounts(
            name=name,
            train=train[name],
            held_out=held[name],
            reason=INSUFFICIENT if train[name] + held[name] < max(1, config.min_examples_per_domain) else None,
        )
        for name in names
    )


def _counts(counter: Counter[str]) -> tuple[Count, ...]:
    return tuple(Count(name=name, count=count) for name, count in counter.most_common() if count)
