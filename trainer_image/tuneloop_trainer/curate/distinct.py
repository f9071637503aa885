"""Rules on the whole: of many examples that teach the same, keep the best; of too many, keep the newest.

Each takes examples and gives those it keeps. What one has kept may be given to it again with older ones: so a window of any length
is curated in pieces, and no more is held than what is kept and one piece.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from operator import attrgetter

from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_trainer.curate.admit import OVER_LIMIT
from tuneloop_trainer.curate.example import Example, Judgement
from tuneloop_trainer.curate.similarity import Index

SetRule = Callable[[Sequence[Example], HarvestConfig], list[Example]]


def best_first(examples: Sequence[Example]) -> list[Example]:
    """Corrected before liked before unjudged, and the newest first."""
    return sorted(examples, key=attrgetter("judgement", "at", "id"), reverse=True)


def newest_first(examples: Sequence[Example]) -> list[Example]:
    return sorted(examples, key=attrgetter("at", "id"), reverse=True)


def without_duplicates(examples: Sequence[Example], config: HarvestConfig) -> list[Example]:
    """One answer to a question: the same words of the user up to it, system prompt and domain."""
    first: dict[int, Example] = {}
    for example in best_first(examples):
        first.setdefault(example.key, example)
    return list(first.values())


def without_near_duplicates(examples: Sequence[Example], config: HarvestConfig) -> list[Example]:
    """No two questions of a domain whose word shingles overlap (Jaccard) by the threshold or more; 1 turns it off."""
    threshold = config.curation.near_duplicates
    if threshold >= 1:
        return list(examples)
    by_domain: dict[str, list[Example]] = defaultdict(list)
    for example in best_first(examples):
        by_domain[example.domain].append(example)
    return [example for alike in by_domain.values() for example in _unlike(alike, threshold)]


def within_user_cap(examples: Sequence[Example], config: HarvestConfig) -> list[Example]:
    """At most so many examples of one user in a domain; who is anonymous cannot be counted, so is not capped."""
    return _first_by(best_first(examples), lambda one: (one.user, one.domain) if one.user else None, config.curation.max_per_user)


def within_corrector_cap(examples: Sequence[Example], config: HarvestConfig) -> list[Example]:
    """And at most so many that one person corrected, whoever asked."""
    return _first_by(
        best_first(examples),
        lambda one: (one.by, one.domain) if one.by and one.judgement is Judgement.CORRECTED else None,
        config.curation.max_per_user,
    )


def within_domain_cap(examples: Sequence[Example], config: HarvestConfig) -> list[Example]:
    """The newest of each domain."""
    return _first_by(newest_first(examples), lambda one: one.domain, config.max_examples_per_domain)


SET_RULES: tuple[tuple[str, SetRule], ...] = (
    ("Duplicate", without_duplicates),
    ("NearDuplicate", without_near_duplicates),
    ("PerUserCap", within_user_cap),
    ("PerCorrectorCap", within_corrector_cap),
    (OVER_LIMIT, within_domain_cap),
)
"""In this order, each with the reason of what it drops."""


def _unlike(examples: Sequence[Example], threshold: float) -> list[Example]:
    questions = [example.asked for example in examples]
    index: Index[None] = Index(threshold, questions, ())
    kept = []
    for example, question in zip(examples, questions, strict=True):
        if any(True for _ in index.alike(question)):
            continue
        kept.append(example)
        index.add(question, None)
    return kept


def _first_by(examples: Sequence[Example], key: Callable[[Example], Hashable], limit: int) -> list[Example]:
    """The first `limit` of each key; None has no limit."""
    counts: Counter[Hashable] = Counter()
    kept = []
    for example in examples:
        whose = key(example)
        counts[whose] += 1
        if whose is None or counts[whose] <= limit:
            kept.append(example)
    return kept
