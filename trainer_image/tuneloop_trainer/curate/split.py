"""Train or held out. A conversation is on one side, and so is a question, or the held-out loss would praise memory."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_trainer.curate.example import Example, normalised


@dataclass(frozen=True)
class Split:
    train: tuple[Example, ...]
    held_out: tuple[Example, ...]


def split(examples: Sequence[Example], config: HarvestConfig) -> Split:
    """Whole groups are held out, in the order of a hash that the seed decides, until every domain has its share.

    The share of a domain: `held_out` of its rows, at least `min_held_out`, never more than half. A group that would pass the half
    of one of its domains is trained on.
    """
    rows = Counter(example.domain for example in examples)
    limit = {domain: count // 2 for domain, count in rows.items()}
    wanted = {domain: min(limit[domain], max(ceil(config.held_out * count), config.min_held_out)) for domain, count in rows.items()}
    held: Counter[str] = Counter()
    chosen: set[str] = set()
    for group in sorted(_groups(examples), key=lambda group: _rank(group, config.seed)):
        sizes = Counter(example.domain for example in group)
        short = any(held[domain] < wanted[domain] for domain in sizes)
        if short and all(held[domain] + size <= limit[domain] for domain, size in sizes.items()):
            held.update(sizes)
            chosen |= {example.id for example in group}
    ordered = sorted(examples, key=lambda example: (example.domain, example.at, example.id))
    return Split(
        train=tuple(example for example in ordered if example.id not in chosen),
        held_out=tuple(example for example in ordered if example.id in chosen),
    )


def _rank(group: Sequence[Example], seed: int) -> str:
    """By the first conversation's name: a group keeps its side while newer traffic comes and goes."""
    name = min(example.conversation or example.id for example in group)
    return hashlib.sha256(f"{seed}|{name}".encode()).hexdigest()


def _groups(examples: Sequence[Example]) -> list[list[Example]]:
    """Examples tied by a conversation or by a question, however indirectly."""
    parent: dict[str, str] = {}

    def root(tie: str) -> str:
        while parent.setdefault(tie, tie) != tie:
            parent[tie] = tie = parent[parent[tie]]
        return tie

    for example in examples:
        parent[root(_conversation(example))] = root(_question(example))
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[root(_question(example))].append(example)
    return list(groups.values())


def _conversation(example: Example) -> str:
    return f"conversation {example.conversation or example.id}"


def _question(example: Example) -> str:
    return f"question {normalised(example.question)}"
