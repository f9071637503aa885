"""The parts of one server, put together, and the background tasks that keep them going."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial

from tuneloop_contracts.answers import EXACT_PREFIX
from tuneloop_contracts.manifest import AdapterManifest
from tuneloop_contracts.pods import AdapterState
from tuneloop_server.adapters.service import AdapterService
from tuneloop_server.cache.exact import BUDGET, ExactTier
from tuneloop_server.cache.template import template_digest
from tuneloop_server.cache.tiers import Tier
from tuneloop_server.cache.watch import watch
from tuneloop_server.chat.parsing import RequestParser
from tuneloop_server.chat.service import ChatService
from tuneloop_server.chat.telemetry import Telemetry
from tuneloop_server.circuit import CircuitBreaker
from tuneloop_server.embeddings.service import EmbeddingsService
from tuneloop_server.engine.base import Engine
from tuneloop_server.feedback.service import FeedbackService
from tuneloop_server.lifecycle import Lifecycle
from tuneloop_server.manifest.current import CurrentManifest
from tuneloop_server.manifest.follow import follow
from tuneloop_server.metrics import Metrics
from tuneloop_server.notifier import ChangeNotifier
from tuneloop_server.record import recorder as recording
from tuneloop_server.record.health import RecordHealth
from tuneloop_server.record.interaction_ids import InteractionIds
from tuneloop_server.record.recorder import Recorder
from tuneloop_server.routing import RoutingTable
from tuneloop_server.semcache.build import SemanticCache, semantic_cache
from tuneloop_server.semcache.embed.choose import LazyEmbedder
from tuneloop_server.settings import BadSettings, Settings
from tuneloop_server.status.service import StatusService
from tuneloop_server.supervisor import supervise
from tuneloop_server.tenants.keys import Tenants
from tuneloop_server.tenants.limit import Concurrency
from tuneloop_server.tracing.span import Tracing

log = logging.getLogger(__name__)

FLUSH_SECONDS = 3.0
"""For the record, at the end."""


class Parts:
    """Made inside a running event loop. Raises BadSettings for an API_KEYS_FILE or OTEL_ variables that cannot be used."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.settings = settings
        self.engine = engine
        self.tenants = Tenants.from_file(settings.api_keys_file)
        self.concurrency = Concurrency(settings.tenant_concurrency)
        self.lifecycle = Lifecycle()
        self.metrics = Metrics()
        notifier = ChangeNotifier()
        self.adapters = AdapterService(engine, settings.max_lora_rank, notifier)
        self.current = CurrentManifest(self._apply)
        self._ids = InteractionIds(lambda: self.current.manifest.salt)
        self._embedder = LazyEmbedder(settings.embedder)
        self._tracing = start_tracing() if settings.traces else None
        self._template = template_digest(settings.model_path)
        self._connect()
        self.health = RecordHealth(self._record_redis, settings.target, notifier.notify)
        self.parser = RequestParser(settings.max_new_tokens)
        telemetry = Telemetry(self.metrics, self.recorder, self._tracing)
        self.chat = ChatService(engine, self.adapters, self.routing_table, self._ids, self._tiers, self._template, telemetry)
        self.feedback = FeedbackService(self._ids, self.recorder, self._tiers)
        self.embeddings = EmbeddingsService(self._embedder)
        self.status = StatusService(self.adapters, self.current, self.health, notifier, engine, settings.model_name, settings.max_lora_rank)
        self._observe()

    def routing_table(self) -> RoutingTable:
        return self._routing_table_of(self.current.manifest)

    def _routing_table_of(self, manifest: AdapterManifest) -> RoutingTable:
        return RoutingTable(self.settings.model_name, manifest, self.adapters.loaded())

    def _apply(self, manifest: AdapterManifest) -> None:
        self.adapters.apply(manifest)
        known = self._routing_table_of(manifest).domain_names
        unknown = [name for name in self.settings.semantic_cache_domains if name not in known]
        if unknown:
            log.warning("SEMANTIC_CACHE_DOMAINS: this target has no domain %s; it has %s", ", ".join(unknown), ", ".join(known))

    @asynccontextmanager
    async def running(self, env: Mapping[str, str] = os.environ) -> AsyncIterator[None]:
        """Follow the manifest and the cache, and write the record, for as long as this lasts; then write what is left of it."""
        works = self._background_tasks(env).items()
        tasks = [asyncio.create_task(supervise(name, work, self.metrics.broke.labels(name).inc), name=name) for name, work in works]
        try:
            yield
        finally:
            await self._stop(tasks)

    def _background_tasks(self, env: Mapping[str, str]) -> dict[str, Callable[[], Awaitable[None]]]:
        """What must run beside the answers, by name."""
        settings = self.settings
        works: dict[str, Callable[[], Awaitable[None]]] = {
            "manifest": partial(follow, settings.target, settings.manifest_file, env, self.current.take)
        }
        if settings.api_keys_file:
            works["API keys"] = partial(self.tenants.follow, settings.api_keys_file)
        if self.exact and self._cache_redis:
            works["cache watch"] = partial(watch, self._cache_redis, EXACT_PREFIX, self.exact)
        if self.semantic:
            works |= {"semantic cache": self.semantic.follower.run, "verification": self.semantic.shadow.run}
        if self.recorder:
            works |= {"record": self.recorder.run, "record health": self.health.run}
        return works

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.recorder:
            await self.recorder.flush(FLUSH_SECONDS)
        await self.adapters.close()
        if self._tracing:
            await asyncio.to_thread(self._tracing.flush)
        for part in (self.semantic, self._embedder, self._cache_redis, self._record_redis):
            if part:
                with suppress(OSError):
                    await part.close()

    def _connect(self) -> None:
        """Two connections even to one Redis: the record's slow batches must not eat the cache's small budget."""
        settings, metrics = self.settings, self.metrics
        caching = settings.redis_url and settings.cache_ttl
        self._cache_redis = CircuitBreaker(settings.redis_url, settings.redis_mode, name="cache", timeout=BUDGET) if caching else None
        self.exact = ExactTier(self._cache_redis, settings.cache_ttl, metrics.cache_errors.inc) if self._cache_redis else None
        self.semantic = self._semantic(self._cache_redis) if self._cache_redis and settings.semantic_cache_domains else None
        self._tiers: tuple[Tier, ...] = tuple(tier for tier in (self.exact, self.semantic and self.semantic.tier) if tier)
        url, mode = settings.record_redis
        self._record_redis = CircuitBreaker(url, mode, name="record", timeout=recording.TIMEOUT) if url else None
        self.recorder = (
            Recorder(self._record_redis, settings.target, settings.record_retention, metrics.written.inc, metrics.dropped.inc)
            if self._record_redis
            else None
        )

    def _semantic(self, breaker: CircuitBreaker) -> SemanticCache:
        return semantic_cache(
            self.settings, breaker, self.engine, self.adapters, self._embedder.get(), self._template, self.metrics.registry
        )

    def _observe(self) -> None:
        """Gauges that are read at each scrape."""
        self.metrics.follow(self.engine.pressure)
        if self.exact:
            exact = self.exact
            self.metrics.follow_memory(lambda: exact.remembered)
        for role, breaker in (("cache", self._cache_redis), ("record", self._record_redis)):
            if breaker:
                self.metrics.redis_up.labels(role).set_function(partial(_up, breaker))
        for state in AdapterState:
            self.metrics.adapters.labels(state).set_function(partial(self._count, state))

    def _count(self, state: AdapterState) -> float:
        return float(sum(report.state is state for report in self.adapters.report()))


def start_tracing() -> Tracing:
    from tuneloop_server.tracing.otlp import Otlp  # half a second and 20 MB, for those who asked for it

    try:
        return Otlp()
    except ValueError as error:
        raise BadSettings(f"OTEL_*: {error}") from error


def _up(breaker: CircuitBreaker) -> float:
    return float(bool(breaker.up))
