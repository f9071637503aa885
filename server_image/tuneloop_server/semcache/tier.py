"""Answers to questions that ask the same in other words: find, put, forget."""

import asyncio
import time
from collections.abc import Callable, Collection

from tuneloop_server.cache.tiers import FinishedAnswer, Hit, Lookup
from tuneloop_server.circuit import RedisUnavailable
from tuneloop_server.semcache.embed.base import Embedder, EmbedderUnavailable
from tuneloop_server.semcache.entries import Candidate, EntryIndex
from tuneloop_server.semcache.guard.judge import objection
from tuneloop_server.semcache.metrics import SemanticMetrics
from tuneloop_server.semcache.paraphrase.model import paraphrase_model
from tuneloop_server.semcache.partition import partition
from tuneloop_server.semcache.store import EntryStore
from tuneloop_server.semcache.verdict import is_unsure
from tuneloop_vectors.words import Vectors

CANDIDATES = 8
"""Near questions that the guard is asked about, the nearest first. With static vectors the right one is the nearest in 79 of 100 cases
and among eight in 99; each costs the guard half a millisecond, or nothing if it was read lately."""

APPEALS = 3
"""Of those that the guard refused because its lists end, how many the model is asked about, the nearest first."""


class SemanticTier:
    """A Tier (see cache.tiers), opt-in by domain. An embedder or a Redis that is away is a miss."""

    def __init__(
        self,
        domains: Collection[str],
        embedder: Embedder,
        store: EntryStore,
        index: EntryIndex,
        metrics: SemanticMetrics,
        template: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`template`: digest of the chat template."""
        self._domains = frozenset(domains)
        self._embedder = embedder
        self._store = store
        self._index = index
        self._metrics = metrics
        self._template = template
        self._now = now
        metrics.follow(index.__len__, lambda: index.partitions)

    async def find(self, lookup: Lookup) -> Hit | None:
        where = self._partition(lookup)
        if where is None:
            return None
        began = time.perf_counter()
        result, hit = await self._search(where, lookup)
        self._metrics.lookups.labels(lookup.domain, result).inc()
        self._metrics.seconds.labels(lookup.domain, result).observe(time.perf_counter() - began)
        return hit

    async def put(self, lookup: Lookup, answer: FinishedAnswer) -> None:
        """Kept only if it is whole: errors and tool calls never come here, an answer that was cut off or is empty stops here."""
        where = self._partition(lookup)
        if where is None or answer.finish != "stop" or not answer.text.strip():
            return
        try:
            vector = await self._vector(lookup.question)
            entry = await self._store.add(where, lookup, vector, answer)
        except (RedisUnavailable, EmbedderUnavailable):
            self._metrics.lookups.labels(lookup.domain, "error").inc()
            return
        if entry:
            self._index.put(entry)

    async def forget(self, key: str) -> None:
        """Here before Redis is asked, so that this pod gives it no more in any case."""
        await self._store.forget(key, self._index.remove(key))

    async def _search(self, where: str, lookup: Lookup) -> tuple[str, Hit | None]:
        """The result's name, and the hit."""
        try:
            candidates = self._index.candidates(where, await self._vector(lookup.question), CANDIDATES)
            candidates = [one for one in candidates if one.similarity >= self._embedder.threshold]
            return await self._judge(lookup.question, candidates)
        except (RedisUnavailable, EmbedderUnavailable):
            return "error", None

    async def _judge(self, question: str, candidates: list[Candidate]) -> tuple[str, Hit | None]:
        """The guard is asked about all before the model is about any: it takes ten times as long."""
        unsure = []
        for candidate in candidates:
            if reason := objection(question, candidate.question):
                self._metrics.objections.labels(reason).inc()
                if is_unsure(reason, question, candidate.question):
                    unsure.append(candidate)
            elif hit := await self._fetch(candidate):
                return "hit", hit
        for candidate in unsure[:APPEALS]:
            sure = await asyncio.to_thread(paraphrase_model().is_sure, question, candidate.question)
            self._metrics.appeals.labels("sure" if sure else "unsure").inc()
            if sure and (hit := await self._fetch(candidate)):
                return "hit", hit
        return ("guarded" if candidates else "miss"), None

    async def _fetch(self, candidate: Candidate) -> Hit | None:
        answer = await self._store.fetch(candidate.key, candidate.id)
        if answer is None:  # another pod took it away, and the news is on its way
            self._index.remove(candidate.key)
            return None
        age = max(0, int(self._now() - answer.written))
        return Hit(answer, "semantic", candidate.key, age, candidate.similarity)

    def _partition(self, lookup: Lookup) -> str | None:
        if lookup.domain not in self._domains:
            return None
        return partition(lookup, embedder=self._embedder.name, template=self._template)

    async def _vector(self, text: str) -> Vectors:
        rows = await self._embedder.embed([text])
        first: Vectors = rows[0]
        return first
