"""Requests to the semantic tier, and a tier of one pod on a real Redis, for tests."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry

from tuneloop_server.cache.tiers import FinishedAnswer, Lookup
from tuneloop_server.circuit import CircuitBreaker
from tuneloop_server.engine.base import Message, Sampling
from tuneloop_server.semcache.embed.static import StaticEmbedder
from tuneloop_server.semcache.entries import EntryIndex
from tuneloop_server.semcache.follow import Follower
from tuneloop_server.semcache.metrics import SemanticMetrics
from tuneloop_server.semcache.store import EntryStore
from tuneloop_server.semcache.tier import SemanticTier

DEADLINE = 20.0
TTL = 3600

LOOKUP = Lookup(
    key="How do I reset my password?",
    tenant="acme",
    domain="support",
    base_digest="sha256:b",
    adapter_digest="sha256:a",
    messages=(Message("user", "How do I reset my password?"),),
    sampling=Sampling(max_tokens=64, temperature=0),
)
ANSWER = FinishedAnswer("Open the settings and choose Reset.", "stop", 9, 8, "int-1", 0.0)


def ask(question: str, **changes: Any) -> Lookup:
    """Its key is the question itself."""
    return replace(LOOKUP, key=question, messages=(Message("user", question),), **changes)


@cache
def embedder() -> StaticEmbedder:
    return StaticEmbedder()


@dataclass
class Pod:
    tier: SemanticTier
    follower: Follower
    index: EntryIndex
    registry: CollectorRegistry
    metrics: SemanticMetrics

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    async def until(self, reached: Callable[[], bool]) -> None:
        """Follow the stream until that is so."""
        async with asyncio.timeout(DEADLINE):
            while not reached():
                await self.follower.step()


@asynccontextmanager
async def pod(url: str, now: Callable[[], float], template: str = "t") -> AsyncIterator[Pod]:
    breaker, waiting = CircuitBreaker(url, name="test", timeout=1.0), CircuitBreaker(url, name="news", timeout=5.0)
    registry, index = CollectorRegistry(), EntryIndex(now)
    metrics = SemanticMetrics(registry)
    tier = SemanticTier({"support"}, embedder(), EntryStore(breaker, "chat/llm", TTL), index, metrics, template, now)
    yield Pod(tier, Follower(EntryStore(waiting, "chat/llm", TTL), index), index, registry, metrics)
    await breaker.close()
    await waiting.close()
