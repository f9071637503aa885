"""The semantic cache of one server, put together."""

import random
import time
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry

from tuneloop_server.adapters.service import AdapterService
from tuneloop_server.cache.tiers import Tier
from tuneloop_server.circuit import CircuitBreaker
from tuneloop_server.engine.base import Engine, Pressure
from tuneloop_server.semcache.embed.base import Embedder
from tuneloop_server.semcache.entries import EntryIndex
from tuneloop_server.semcache.follow import Follower
from tuneloop_server.semcache.metrics import SemanticMetrics
from tuneloop_server.semcache.paraphrase.model import paraphrase_model
from tuneloop_server.semcache.regenerate import regenerate
from tuneloop_server.semcache.shadow import ShadowVerifier, VerifiedTier
from tuneloop_server.semcache.store import BLOCK_MILLISECONDS, EntryStore
from tuneloop_server.semcache.tier import SemanticTier
from tuneloop_server.settings import Settings

CHANGES_TIMEOUT = 2 * BLOCK_MILLISECONDS / 1000
"""Seconds: a Redis that has no changes says so after half of this."""


@dataclass(frozen=True)
class SemanticCache:
    tier: Tier
    shadow: ShadowVerifier
    follower: Follower
    changes: CircuitBreaker

    async def close(self) -> None:
        await self.changes.close()


def semantic_cache(
    settings: Settings,
    breaker: CircuitBreaker,
    engine: Engine,
    adapters: AdapterService,
    embedder: Embedder,
    template: str,
    registry: CollectorRegistry,
) -> SemanticCache:
    """`breaker`: the exact tier's, so that a Redis in trouble costs a request its budget once. Changes come by a connection of their
    own: they are waited for."""
    paraphrase_model()  # loaded here, or who asks first would wait for it
    changes = CircuitBreaker(settings.redis_url, settings.redis_mode, name="cache news", timeout=CHANGES_TIMEOUT)
    store, heard = (EntryStore(each, settings.target, settings.cache_ttl) for each in (breaker, changes))
    index, metrics = EntryIndex(time.time), SemanticMetrics(registry)
    tier = SemanticTier(settings.semantic_cache_domains, embedder, store, index, metrics, template)
    again = partial(regenerate, engine, adapters)
    shadow = ShadowVerifier(tier, embedder, again, lambda: engine.pressure() == Pressure(0, 0), metrics, random.random)
    return SemanticCache(VerifiedTier(tier, shadow), shadow, Follower(heard, index), changes)
