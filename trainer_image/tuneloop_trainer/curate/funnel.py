"""Entries in, rows out, and the count of every reason for which one was dropped: read = kept + dropped.

Entries come newest first, and no more are taken once every domain is full; those that pass are settled in pieces. So what is held is
bounded by `maxExamplesPerDomain`, not by the window.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from tuneloop_contracts.dataset import INSUFFICIENT, Count, DomainCounts
from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.record import Feedback
from tuneloop_trainer.curate.admit import INJECTION, MALFORMED, REPEATED_ENTRY, domains_of
from tuneloop_trainer.curate.distinct import SET_RULES
from tuneloop_trainer.curate.example import Example, Judgement, Recorded
from tuneloop_trainer.curate.feedback import FeedbackIndex
from tuneloop_trainer.curate.golden import Golden
from tuneloop_trainer.curate.lookahead import lookahead
from tuneloop_trainer.curate.offer import IN_GOLDEN_SET, Offer, offering
from tuneloop_trainer.curate.poison import PATTERNS
from tuneloop_trainer.curate.redact.find import find
from tuneloop_trainer.curate.redact.span import Find
from tuneloop_trainer.curate.split import Split, split
from tuneloop_trainer.curate.thread import Thread, threads
from tuneloop_trainer.curate.ties import sizes
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.rows import Row

MAX_NAME = 60
"""Characters of a tenant's name that a message shows."""
MAX_NAMED_TENANTS = 5
PIECE = 2000
"""Examples that are settled at once, where that many are still wanted."""
QUARANTINED = "Quarantined"


@dataclass(frozen=True)
class Curated:
    train: tuple[Row, ...]
    held_out: tuple[Row, ...]
    time_forward: tuple[Row, ...]
    read: int
    kept: int
    """Interactions that passed every rule; those of a domain that is short are counted too, but not written."""
    dropped: tuple[Count, ...]
    quarantined: tuple[Count, ...]
    """Those of `dropped` that are Quarantined, by pattern."""
    outside_signal: int
    """Interactions that a person judged, whatever became of them."""
    redacted: tuple[Count, ...]
    domains: tuple[DomainCounts, ...]
    users: frozenset[tuple[str, str]]
    """The id of a row with each whose it is, by keyed hash: several people may have asked in one conversation, or corrected an
    answer. None for one unknown."""
    golden: str
    """Digest of the golden sets that were kept out."""


@dataclass
class Tally:
    """What is counted while entries go by."""

    read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    outside_signal: int = 0
    ids: set[int] = field(default_factory=set)
    """Hashes: at a million entries the ids themselves would be most of the memory."""
    tenants: set[str] = field(default_factory=set)
    full: frozenset[str] = frozenset()
    """The domains that have all they may."""


def curate(
    entries: Iterable[Recorded],
    feedback: Mapping[str, Feedback],
    config: HarvestConfig,
    golden: Golden | None = None,
    find: Find = find,
    offer: Offer | None = None,
) -> Curated:
    """`entries`: newest first. `feedback`: by interaction, oldest first. `find`: what is taken out where `pii` is Redact. `offer`: what
    each entry offers, where that was worked out elsewhere by the same golden set and finds.

    Raises NeedsEdit (SEVERAL_TENANTS) where mixing tenants was not asked for, Overlap if the split went wrong.
    """
    tally, golden = Tally(), golden or Golden()
    pool = _collected(_admitted(entries, FeedbackIndex(feedback), offer or offering(config, golden, find), config, tally), config, tally)
    if len(tally.tenants) > 1 and not config.tenants:
        raise NeedsEdit(FaultReason.SEVERAL_TENANTS, _several(tally.tenants))
    clean = _without_poison(pool, config, tally)
    learned, judging = ([example for example in clean if example.golden is known] for known in (False, True))
    sides = split(threads(learned), config, threads(judging))
    kept = [turn for side in (sides.train, sides.held_out, sides.time_forward) for thread in side for turn in thread.turns]
    tally.dropped[IN_GOLDEN_SET] += len(clean) - len(kept)
    return _counted(sides, kept, tally, config, golden.digest)


def offer_share(entries: Iterable[Recorded], feedback: Mapping[str, Feedback], config: HarvestConfig, offer: Offer) -> None:
    """Asks `offer` of a share of the entries what `curate` would ask of it, were they all: as far back as until every domain is full."""
    tally = Tally()
    _collected(_admitted(entries, FeedbackIndex(feedback), offer, config, tally), config, tally)


def _collected(admitted: Iterator[Example], config: HarvestConfig, tally: Tally) -> list[Example]:
    """Piece by piece, until there is no more, or no domain wants more."""
    pool: list[Example] = []
    wanted = dict.fromkeys(_names(config), config.max_examples_per_domain)
    while sum(wanted.values()) and (piece := list(islice(admitted, _piece(len(pool), sum(wanted.values()))))):
        pool = _settled([*pool, *piece], config, tally)
        counts = Counter(example.domain for example in pool)
        wanted = {name: config.max_examples_per_domain - counts[name] for name in wanted}
        tally.full = frozenset(name for name, missing in wanted.items() if not missing)
    return pool


def _piece(kept: int, wanted: int) -> int:
    """Not much more than is wanted, or a window would be read on for nothing; not much less than was kept, or it would be settled often."""
    return min(max(PIECE, kept), max(wanted, kept // 4, PIECE // 20))


def _admitted(entries: Iterable[Recorded], said: FeedbackIndex, offer: Offer, config: HarvestConfig, tally: Tally) -> Iterator[Example]:
    for entry, domain in lookahead(entries, lambda batch: domains_of(batch, config.domains)):
        tally.read += 1
        taken = _taken(entry, domain, said, offer, tally)
        if isinstance(taken, Example):
            yield taken
        else:
            tally.dropped[taken] += 1


def _taken(entry: Recorded, domain: Callable[[], str], said: FeedbackIndex, offer: Offer, tally: Tally) -> Example | str:
    """What it offers to learn, or the reason why nothing."""
    record = entry.record
    if record is None:
        return MALFORMED
    if (mark := hash(record.id)) in tally.ids:
        return REPEATED_ENTRY
    tally.ids.add(mark)
    tally.tenants.add(record.tenant)
    feedback = said.of(record)
    tally.outside_signal += feedback is not None
    offered = offer(entry.at, record, domain, feedback, tally.full)
    if isinstance(offered, Example):
        return offered
    tally.quarantined[offered.reason] += offered.reason == INJECTION
    return QUARANTINED if offered.reason == INJECTION else offered.reason


def _settled(examples: list[Example], config: HarvestConfig, tally: Tally) -> list[Example]:
    for reason, rule in SET_RULES:
        kept = rule(examples, config)
        tally.dropped[reason] += len(examples) - len(kept)
        examples = kept
    return examples


def _without_poison(examples: list[Example], config: HarvestConfig, tally: Tally) -> list[Example]:
    for name, pattern in PATTERNS:
        found = pattern(examples, config)
        tally.quarantined[name] += len(found)
        tally.dropped[QUARANTINED] += len(found)
        examples = [example for example in examples if example.id not in found]
    return examples


def _several(tenants: set[str]) -> str:
    shown = ", ".join(name[:MAX_NAME] for name in sorted(tenants)[:MAX_NAMED_TENANTS])
    named = f"{shown}, ..." if len(tenants) > MAX_NAMED_TENANTS else shown
    return f"the records hold {len(tenants)} tenants ({named}): name in data.tenants those that may share an adapter"


def _counted(sides: Split, kept: Sequence[Example], tally: Tally, config: HarvestConfig, golden: str) -> Curated:
    domains = _domain_counts(sides, kept, config)
    enough = {domain.name for domain in domains if domain.reason is None}
    train, held_out, time_forward = (_rows(side, enough) for side in (sides.train, sides.held_out, sides.time_forward))
    every = (thread for side in (sides.train, sides.held_out, sides.time_forward) for thread in side)
    written = [thread for thread in every if thread.last.domain in enough]
    redacted = Counter(kind for thread in written for kind in thread.last.redacted)
    users = frozenset((thread.last.id, user) for thread in written for turn in thread.turns for user in turn.people)
    return Curated(
        train, held_out, time_forward, tally.read, len(kept), _counts(tally.dropped), _counts(tally.quarantined), tally.outside_signal,
        _counts(redacted), domains, users, golden,
    )  # fmt: skip


def _rows(side: Iterable[Thread], enough: set[str]) -> tuple[Row, ...]:
    return tuple(thread.to_row() for thread in side if thread.last.domain in enough)


def _domain_counts(sides: Split, kept: Sequence[Example], config: HarvestConfig) -> tuple[DomainCounts, ...]:
    """Every domain that was asked for, in the target's order, also one without a single row."""
    train, held_out, time_forward = map(sizes, (sides.train, sides.held_out, sides.time_forward))
    judged = Counter(example.domain for example in kept if example.judgement is not Judgement.NONE)
    return tuple(
        _with_reason(
            DomainCounts(
                name=name, train=train[name], held_out=held_out[name], time_forward=time_forward[name], folds=sides.folds.get(name, 0),
                judged=judged[name],
            ), config,
        )
        for name in _names(config)
    )  # fmt: skip


def _with_reason(counts: DomainCounts, config: HarvestConfig) -> DomainCounts:
    short = counts.examples < max(1, config.min_examples_per_domain)
    return counts.model_copy(update={"reason": INSUFFICIENT}) if short else counts


def _names(config: HarvestConfig) -> list[str]:
    return [domain.name for domain in config.domains if not config.selected or domain.name in config.selected]


def _counts(counter: Counter[str]) -> tuple[Count, ...]:
    return tuple(Count(name=name, count=count) for name, count in counter.most_common() if count)
