"""Train, held out, or time-forward. A conversation is on one side, and so is a question, or the held-out loss would praise memory."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_trainer.curate.similarity import SAME_QUESTION, Index, Question
from tuneloop_trainer.curate.thread import Thread
from tuneloop_trainer.curate.ties import Group, sizes, tied_by_text, tied_by_user

FOLDS = 5
"""Where a domain is too small to hold any out: each adapter that judges learns four fifths of it."""


@dataclass(frozen=True)
class Split:
    train: tuple[Thread, ...]
    held_out: tuple[Thread, ...]
    time_forward: tuple[Thread, ...]
    folds: Mapping[str, int] = field(default_factory=dict)
    """Of the domains whose examples are all in train."""


class Overlap(Exception):
    """Two sides share a conversation or a question: a mistake of ours, for which nothing is written."""


@dataclass(frozen=True)
class _Shares:
    """How many examples of each domain are wanted beside the train side; together never more than half."""

    held_out: Mapping[str, int]
    time_forward: Mapping[str, int]
    folds: Mapping[str, int]


def split(threads: Sequence[Thread], config: HarvestConfig, golden: Sequence[Thread] = ()) -> Split:
    """Held out are whole groups, in the order of a hash that the seed decides; of the others the newest go forward. Raises Overlap.

    Held out before any other are those of `golden`, but for what has a conversation or a question in common with the rest.

    What the split keeps apart for sure: conversations and questions. Users too, as long as no domain gets stuck on one of them, but
    not from the time-forward side: whoever comes back is what it asks about.
    """
    known = _again(golden, threads, config)
    rows, held = sizes([*threads, *known]), sizes(known)
    shares = _shares(rows, config)
    groups = tied_by_text(threads)
    wanted = {domain: max(0, share - held[domain]) for domain, share in shares.held_out.items()}
    ranked = sorted(tied_by_user(groups, wanted), key=lambda group: _rank(group, config.seed))
    held_out = _taken(ranked, wanted, {domain: count // 2 - held[domain] for domain, count in rows.items()})
    rest, held = _without(groups, held_out), sum((group.sizes for group in held_out), held)
    newest = sorted(rest, key=lambda group: (min(thread.began for thread in group.threads), group.name), reverse=True)
    left = {domain: min(share, rows[domain] // 2 - held[domain]) for domain, share in shares.time_forward.items()}
    forward = _taken(newest, left, left)
    sides = Split(_ordered(_without(rest, forward)), _ordered([*held_out, Group(known)]), _ordered(forward), shares.folds)
    refuse_overlap(sides)
    return sides


def refuse_overlap(sides: Split) -> None:
    """Asked of the result, apart from how it came about. Raises Overlap."""
    talks = [{thread.last.talk for thread in side} for side in (sides.train, sides.held_out, sides.time_forward)]
    if len(set().union(*talks)) < sum(map(len, talks)):
        raise Overlap("a conversation is on two sides of the split")
    train, held_out, forward = map(_questions, (sides.train, sides.held_out, sides.time_forward))
    index: Index[None] = Index(SAME_QUESTION, [*held_out, *forward], train)
    for judging, others in ((held_out, forward), (forward, train)):  # the second time those held out are in the index too
        for question in judging:
            index.add(question, None)
        if any(True for question in others for _ in index.alike(question)):
            raise Overlap("a question is on two sides of the split")


def _questions(threads: Iterable[Thread]) -> list[Question]:
    return [turn.asked for thread in threads for turn in thread.turns]


def _again(golden: Sequence[Thread], others: Sequence[Thread], config: HarvestConfig) -> tuple[Thread, ...]:
    """Those that may be held out again: the newest, and no more of a domain than it has others; none where folds do the judging."""
    if not golden:
        return ()
    talks = {thread.last.talk for thread in others}
    index: Index[Thread] = Index(SAME_QUESTION, _questions(golden), _questions(others))
    for thread in golden:
        for turn in thread.turns:
            index.add(turn.asked, thread)
    shared = {thread.last.id for question in _questions(others) for thread in index.alike(question)}
    apart = [thread for thread in golden if thread.last.talk not in talks and thread.last.id not in shared]
    rows, known = sizes(others), Counter[str]()
    kept = []
    for thread in sorted(apart, key=lambda thread: (thread.last.at, thread.last.id), reverse=True):
        if known[thread.last.domain] + len(thread.turns) <= rows[thread.last.domain]:
            known[thread.last.domain] += len(thread.turns)
            kept.append(thread)
    return tuple(thread for thread in kept if (rows + known)[thread.last.domain] >= 2 * config.min_held_out)


def _shares(rows: Counter[str], config: HarvestConfig) -> _Shares:
    """Held out: `held_out` of a domain, at least `min_held_out`. A domain with fewer than twice that is judged by folds."""
    folds = {domain: FOLDS for domain, count in rows.items() if count < 2 * config.min_held_out}
    held_out, time_forward = {}, {}
    for domain, count in rows.items():
        share = 0 if domain in folds else ceil(config.held_out * count)
        held_out[domain] = min(count // 2, max(share, config.min_held_out)) if domain not in folds else 0
        time_forward[domain] = min(share, count // 2 - held_out[domain])
    return _Shares(held_out, time_forward, folds)


def _taken(groups: Iterable[Group], wanted: Mapping[str, int], full: Mapping[str, int]) -> list[Group]:
    """In their order, until each domain has what is wanted. One that would pass `full` in one of its domains is passed over."""
    counts: Counter[str] = Counter()
    taken = []
    for group in groups:
        short = any(counts[domain] < wanted[domain] for domain in group.sizes)
        wanted_at_all = all(wanted[domain] for domain in group.sizes)  # a domain without a share is trained on, whole
        if short and wanted_at_all and all(counts[domain] + size <= full[domain] for domain, size in group.sizes.items()):
            counts.update(group.sizes)
            taken.append(group)
    return taken


def _without(groups: Iterable[Group], taken: Iterable[Group]) -> list[Group]:
    gone = {thread.last.id for group in taken for thread in group.threads}
    return [group for group in groups if group.threads[0].last.id not in gone]


def _rank(group: Group, seed: int) -> str:
    return hashlib.sha256(f"{seed}|{group.name}".encode()).hexdigest()


def _ordered(groups: Iterable[Group]) -> tuple[Thread, ...]:
    threads = (thread for group in groups for thread in group.threads)
    return tuple(sorted(threads, key=lambda thread: (thread.last.domain, thread.last.at, thread.last.id)))
