"""`forget`: find everything, say it, remove it."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

import redis

from tuneloop_contracts.jobs import EXIT_DONE, REDIS_URL_ENV, RedisMode
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.record import FEEDBACK_KIND, RECORD_KIND
from tuneloop_contracts.stores import Store
from tuneloop_trainer.config import name_faults, redis_url, store_at
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.forget.cached import CachedAnswers, find_cached, remove_cached
from tuneloop_trainer.forget.datasets import DatasetRows, GoldenRows, find_datasets, find_golden, remove_from_dataset, remove_from_golden
from tuneloop_trainer.forget.person import Person, hash_of
from tuneloop_trainer.forget.recorded import Recorded, find_recorded, remove_recorded
from tuneloop_trainer.forget.sealed import SealedEntries, find_sealed, remove_sealed
from tuneloop_trainer.forget.trained import trained_on
from tuneloop_trainer.harvest.connect import connect
from tuneloop_trainer.harvest.parts import parts_of_target, remove_parts
from tuneloop_trainer.harvest.retry import without_retry
from tuneloop_trainer.table import as_table

NOT_LOOKED_AT = "-"


@dataclass(frozen=True)
class Findings:
    """All that is left of a person."""

    answers: Recorded
    feedback: Recorded
    sealed: list[SealedEntries]
    cached: CachedAnswers
    datasets: list[DatasetRows]
    golden: list[GoldenRows]
    adapters: list[str]


@dataclass(frozen=True)
class SearchScope:
    """Where to look."""

    record: "redis.Redis"
    cache: "redis.Redis"
    target: str
    datasets: Store | None
    adapters: Store | None

    def find(self, person: Person) -> Findings:
        answers, sealed_answers = self._entries(RECORD_KIND, person)
        feedback, sealed_feedback = self._entries(FEEDBACK_KIND, person)
        datasets = find_datasets(self.datasets, person.hash) if self.datasets else []
        ids = frozenset(person.interactions.union(*(dataset.ids for dataset in datasets)))
        golden = find_golden(self.datasets, ids, person.hash) if self.datasets else []
        digests = {digest for dataset in datasets for digest in dataset.digests}
        adapters = trained_on(self.adapters, digests) if self.adapters else []
        cached = find_cached(self.cache, self.target, ids)
        return Findings(answers, feedback, [*sealed_feedback, *sealed_answers], cached, datasets, golden, adapters)

    def _entries(self, kind: str, person: Person) -> tuple[Recorded, list[SealedEntries]]:
        """In Redis and in the archive. Answers are asked for first: they tell which feedback is on the person's own."""
        sealed = find_sealed(self.datasets, self.target, kind, person) if self.datasets else []
        return find_recorded(self.record, self.target, kind, person), sealed

    def remove(self, found: Findings) -> None:
        """The record last: it leads to the rest. What a harvest under way has written down goes whole: it works that out again."""
        if self.datasets:
            remove_parts(parts_of_target(self.datasets, self.target))
        remove_cached(self.cache, self.target, found.cached)
        for golden in found.golden:
            remove_from_golden(golden)
        for dataset in found.datasets:
            remove_from_dataset(dataset)
        for sealed in found.sealed:
            remove_sealed(sealed)
        remove_recorded(self.record, found.feedback)
        remove_recorded(self.record, found.answers)


def forget(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Raises NeedsEdit, and TryLater when Redis or a store does not answer: then nothing that was found is lost to the next run."""
    if faults := list(name_faults("--target", options.target)):
        raise NeedsEdit(FaultReason.INVALID_CONFIG, faults[0])
    person = Person(hash_of(options.user, options.tenant, options.manifest))
    record = redis_url({REDIS_URL_ENV: options.redis or env.get(REDIS_URL_ENV, "")})
    cache = redis_url({REDIS_URL_ENV: options.cache_redis}) if options.cache_redis else record
    mode = RedisMode(options.redis_mode)
    datasets, adapters = (store_at(uri) if uri else None for uri in (options.datasets, options.adapters))
    with without_retry(), connect(record, mode) as record_client, connect(cache, mode) as cache_client:
        scope = SearchScope(record_client, cache_client, options.target, datasets, adapters)
        found = scope.find(person)
        print(as_text(found, scope, dry_run=options.dry_run), flush=True)  # before anything goes: the rows lead to the adapters
        if not options.dry_run:
            scope.remove(found)
    print("nothing was removed: --dry-run" if options.dry_run else "removed")
    return EXIT_DONE


def as_text(found: Findings, scope: SearchScope, *, dry_run: bool) -> str:
    """Counts and adapters; nothing that tells who it is."""
    in_store = scope.datasets is not None
    rows = [
        ("record: answers", str(sum(map(len, found.answers.values())))),
        ("record: feedback", str(sum(map(len, found.feedback.values())))),
        ("archive: entries", str(sum(len(sealed.ids) for sealed in found.sealed)) if in_store else NOT_LOOKED_AT),
        ("cache: exact", str(len(found.cached.exact))),
        ("cache: semantic", str(len(found.cached.semantic))),
        ("datasets: rows", str(sum(dataset.rows for dataset in found.datasets)) if in_store else NOT_LOOKED_AT),
        ("golden sets: rows", str(sum(golden.rows for golden in found.golden)) if in_store else NOT_LOOKED_AT),
    ]
    return f"{as_table(('PLACE', 'TO REMOVE'), rows)}\n{_adapters(found, scope)}"


def _adapters(found: Findings, scope: SearchScope) -> str:
    if scope.datasets is None or scope.adapters is None:
        return "adapters that saw them: not looked for; that takes --datasets and --adapters"
    if not found.adapters:
        return "adapters that saw them: none"
    return "\n".join(("adapters that saw them, to retrain or to roll back:", *(f"  {adapter}" for adapter in found.adapters)))
