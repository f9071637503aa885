"""Rules on the whole: of many rows that teach the same, keep the best; of too many, keep the newest.

Each takes examples, the best first, and gives those it keeps.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from math import ceil

from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_trainer.curate.example import Example, normalised

SHINGLE = 3
"""Words in a shingle: questions are short, and of two words less than documents would want."""

SetRule = Callable[[Sequence[Example], HarvestConfig], list[Example]]


def best_first(examples: Sequence[Example]) -> list[Example]:
    """Corrected before liked before unjudged, and the newest first."""
    return sorted(examples, key=lambda example: (example.judgement, example.at, example.id), reverse=True)


def newest_first(examples: Sequence[Example]) -> list[Example]:
    return sorted(examples, key=lambda example: (example.at, example.id), reverse=True)


def without_duplicates(examples: Sequence[Example], config: HarvestConfig) -> list[Example]:
    """One answer to a question: the same last question, system prompt and domain."""
    first: dict[tuple[str, str, str], Example] = {}
    for example in best_first(examples):
        first.setdefault((normalised(example.question), normalised(example.system), example.domain), example)
    return list(first.values())


def without_near_duplicates(examples: Sequence[Example], config: HarvestConfig) -> list[Example]:
    """No two questions of a domain whose word shingles overlap (Jaccard) by the threshold or more; 1 turns it off."""
    threshold = config.curation.near_duplicates
    if threshold >= 1:
        return list(examples)
    by_domain: dict[str, list[Example]] = defaultdict(list)
    for example in best_first(examples):
        by_domain[example.domain].append(example)
    return [example for alike in by_domain.values() for example in _distinct(alike, threshold)]


def within_user_cap(examples: Sequence[Example], config: HarvestConfig) -> list[Example]:
    """At most so many rows of one user in a domain; who is anonymous cannot be counted, so is not capped."""
    return _first_by(best_first(examples), lambda example: (example.user, example.domain), config.curation.max_per_user, free="")


def within_domain_cap(examples: Sequence[Example], config: HarvestConfig) -> list[Example]:
    """The newest of each domain."""
    return _first_by(newest_first(examples), lambda example: (example.domain, example.domain), config.max_examples_per_domain)


SET_RULES: tuple[tuple[str, SetRule], ...] = (
    ("Duplicate", without_duplicates),
    ("NearDuplicate", without_near_duplicates),
    ("PerUserCap", within_user_cap),
    ("OverLimit", within_domain_cap),
)
"""In this order, each with the reason of what it drops."""


def shingles(text: str) -> frozenset[str]:
    words = normalised(text).split()
    return frozenset(" ".join(words[n : n + SHINGLE]) for n in range(max(1, len(words) - SHINGLE + 1)))


def _first_by(
    examples: Sequence[Example], key: Callable[[Example], tuple[str, str]], limit: int, free: str | None = None
) -> list[Example]:
    counts: Counter[tuple[str, str]] = Counter()
    kept = []
    for example in examples:
        counts[key(example)] += 1
        if key(example)[0] == free or counts[key(example)] <= limit:
            kept.append(example)
    return kept


def _distinct(examples: Sequence[Example], threshold: float) -> list[Example]:
    """Prefix filtering, exact: two sets that overlap enough share one of the rarest shingles of each.

    Chaudhuri, Ganti, Kaushik: A Primitive Operator for Similarity Joins in Data Cleaning (2006).
    """
    sets = [shingles(example.question) for example in examples]
    frequency = Counter(shingle for shingled in sets for shingle in shingled)
    index: dict[str, list[int]] = defaultdict(list)
    kept = []
    for n, shingled in enumerate(sets):
        enough = ceil(threshold * len(shingled) - 1e-9)  # shared by any set that overlaps enough
        rarest = sorted(shingled, key=lambda shingle: (frequency[shingle], shingle))[: len(shingled) - enough + 1]
        rivals = {rival for shingle in rarest for rival in index[shingle]}
        if any(_jaccard(shingled, sets[rival]) >= threshold for rival in rivals):
            continue
        kept.append(examples[n])
        for shingle in rarest:
            index[shingle].append(n)
    return kept


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
