"""Answers to questions that ask the same in other words: find, put, forget."""

import logging
import time
from collections.abc import Callable, Collection

from tuneloop_server.link import Away
from tuneloop_server.semcache.embed.base import Away as EmbedderAway
from tuneloop_server.semcache.embed.base import Embedder, Vectors
from tuneloop_server.semcache.guard.judge import objection
from tuneloop_server.semcache.lookup import Answer, Hit, Lookup
from tuneloop_server.semcache.metrics import SemanticMetrics
from tuneloop_server.semcache.partition import partition
from tuneloop_server.semcache.shelf import Candidate, Shelf
from tuneloop_server.semcache.store import EntryStore

log = logging.getLogger(__name__)

CANDIDATES = 8
"""Near questions that the guard is asked about, the nearest first. With static vectors the right one is the nearest in 79 of 100 cases
and among eight in 99; each costs the guard half a millisecond, or nothing if it was read lately."""


class SemanticTier:
    """Opt-in by domain. Fails open: an embedder or a Redis that is away is a miss."""

    def __init__(
        self,
        domains: Collection[str],
        embedder: Embedder,
        store: EntryStore,
        shelf: Shelf,
        metrics: SemanticMetrics,
        template: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`template`: digest of the chat template."""
        self._domains = frozenset(domains)
        self._embedder = embedder
        self._store = store
        self._shelf = shelf
        self._metrics = metrics
        self._template = template
        self._now = now
        metrics.follow(shelf.__len__, lambda: shelf.partitions)

    async def find(self, lookup: Lookup) -> Hit | None:
        where = self._partition(lookup)
        if where is None:
            return None
        began = time.perf_counter()
        result, hit = await self._search(where, lookup)
        self._metrics.lookups.labels(lookup.domain, result).inc()
        self._metrics.seconds.labels(lookup.domain, result).observe(time.perf_counter() - began)
        return hit

    async def put(self, lookup: Lookup, answer: Answer) -> None:
        """Kept only if it is whole: errors and tool calls never come here, an answer that was cut off or is empty stops here."""
        where = self._partition(lookup)
        if where is None or answer.finish != "stop" or not answer.text.strip():
            return
        try:
            vector = await self._vector(lookup.question)
            entry = await self._store.add(where, lookup.question, vector, answer)
        except (Away, EmbedderAway):
            self._metrics.lookups.labels(lookup.domain, "error").inc()
            return
        if entry:
            self._shelf.put(entry)

    async def forget(self, interaction: str) -> None:
        """After a thumbs-down: the entry that answered this interaction, or that was made in it. Its question is not kept again until
        it would have expired. An interaction that has nothing to do with an entry is nothing to forget."""
        try:
            entry_id = self._shelf.of_origin(interaction) or await self._store.entry_of_hit(interaction)
        except Away:
            return
        if entry_id:
            await self.drop(entry_id)

    async def drop(self, entry_id: str) -> None:
        """Take a wrong entry away, in every pod."""
        self._shelf.remove(entry_id)
        try:
            await self._store.forget(entry_id)
        except Away:
            log.warning("a wrong entry could not be taken out of Redis; this pod serves it no more")

    async def _search(self, where: str, lookup: Lookup) -> tuple[str, Hit | None]:
        """The result's name, and the hit."""
        try:
            near = self._shelf.candidates(where, await self._vector(lookup.question), CANDIDATES)
            near = [one for one in near if one.similarity >= self._embedder.threshold]
            for candidate in near:
                if reason := objection(lookup.question, candidate.question):
                    self._metrics.objections.labels(reason).inc()
                elif hit := await self._fetch(candidate, lookup):
                    return "hit", hit
        except (Away, EmbedderAway):
            return "error", None
        return ("guarded" if near else "miss"), None

    async def _fetch(self, candidate: Candidate, lookup: Lookup) -> Hit | None:
        answer = await self._store.fetch(candidate.id)
        if answer is None:  # another pod took it away, and the news is on its way
            self._shelf.remove(candidate.id)
            return None
        if lookup.interaction:
            await self._store.remember_hit(lookup.interaction, candidate.id)
        age = max(0, int(self._now() - answer.written))
        return Hit(answer, candidate.id, candidate.question, round(candidate.similarity, 3), age)

    def _partition(self, lookup: Lookup) -> str | None:
        if lookup.domain not in self._domains:
            return None
        return partition(lookup, embedder=self._embedder.name, template=self._template)

    async def _vector(self, text: str) -> Vectors:
        rows = await self._embedder.embed([text])
        first: Vectors = rows[0]
        return first
