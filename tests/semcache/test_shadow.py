"""Hits that are generated again, and what comes of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from asking import ANSWER, LOOKUP, Pod, ask, embedder, pod
from tuneloop_server.cache.tiers import Lookup
from tuneloop_server.errors import TryLater
from tuneloop_server.semcache.agree import agree
from tuneloop_server.semcache.shadow import WAITING, ShadowVerifier
from waiting import beside, until

REWORDED = ask("Could you tell me how to reset my password?")


async def says(text: str) -> str:
    return text


@asynccontextmanager
async def verifying(one: Pod, fresh: str, idle: Callable[[], bool] = lambda: True, draw: float = 0.0) -> AsyncIterator[ShadowVerifier]:
    shadow = ShadowVerifier(one.tier, embedder(), lambda _: says(fresh), idle, one.metrics, lambda: draw)
    async with beside(shadow.run()):
        yield shadow


async def test_a_wrong_hit_counts_and_its_entry_goes(redis_url: str) -> None:
    async with pod(redis_url, time.time) as one, verifying(one, "Call 555 0100, nobody can do it online.") as shadow:
        await one.tier.put(LOOKUP, ANSWER)
        hit = await one.tier.find(REWORDED)
        assert hit
        shadow.offer(REWORDED, hit)
        await until(lambda: one.counted("tuneloop_semantic_verdicts_total", domain="support", verdict="wrong") == 1)
        await until(lambda: len(one.index) == 0)
        assert one.counted("tuneloop_semantic_false_hit_ratio", domain="support") == 1
        await one.tier.put(LOOKUP, ANSWER)
        assert await one.tier.find(REWORDED) is None, "denied"


async def test_a_right_hit_counts_and_stays(redis_url: str) -> None:
    async with pod(redis_url, time.time) as one, verifying(one, "Open settings, then choose Reset.") as shadow:
        await one.tier.put(LOOKUP, ANSWER)
        hit = await one.tier.find(REWORDED)
        assert hit
        shadow.offer(REWORDED, hit)
        await until(lambda: one.counted("tuneloop_semantic_verdicts_total", domain="support", verdict="right") == 1)
        assert one.counted("tuneloop_semantic_false_hit_ratio", domain="support") == 0
        assert await one.tier.find(REWORDED)


async def test_only_a_share_is_drawn(redis_url: str) -> None:
    asked: list[Lookup] = []

    async def regenerate(lookup: Lookup) -> str:
        asked.append(lookup)
        return ANSWER.text

    async with pod(redis_url, time.time) as one:
        await one.tier.put(LOOKUP, ANSWER)
        hit = await one.tier.find(REWORDED)
        assert hit
        draws = iter([0.5, 0.051, 0.049])
        shadow = ShadowVerifier(one.tier, embedder(), regenerate, lambda: True, one.metrics, lambda: next(draws))
        task = asyncio.create_task(shadow.run())
        for _ in range(3):
            shadow.offer(REWORDED, hit)
        await until(lambda: one.counted("tuneloop_semantic_verdicts_total", domain="support", verdict="right") == 1)
        task.cancel()
        assert len(asked) == 1


async def test_a_busy_engine_is_left_alone_and_the_queue_is_bounded(redis_url: str) -> None:
    async with pod(redis_url, time.time) as one, verifying(one, "x", idle=lambda: False) as shadow:
        await one.tier.put(LOOKUP, ANSWER)
        hit = await one.tier.find(REWORDED)
        assert hit
        for _ in range(WAITING + 5):
            shadow.offer(REWORDED, hit)
        assert one.counted("tuneloop_semantic_unverified_total") == 5


async def test_an_engine_that_refuses_judges_nothing(redis_url: str) -> None:
    async def refuse(_: Lookup) -> str:
        raise TryLater("full")

    async with pod(redis_url, time.time) as one:
        await one.tier.put(LOOKUP, ANSWER)
        hit = await one.tier.find(REWORDED)
        assert hit
        shadow = ShadowVerifier(one.tier, embedder(), refuse, lambda: True, one.metrics, lambda: 0.0)
        shadow.offer(REWORDED, hit)
        task = asyncio.create_task(shadow.run())
        await until(lambda: one.counted("tuneloop_semantic_unverified_total") == 1)
        task.cancel()
        assert await one.tier.find(REWORDED)


@pytest.mark.parametrize(
    ("served", "fresh", "want"),
    [
        ("Paris.", "paris", True),
        ("The capital of France is Paris.", "Paris is the capital of France.", True),
        ("It takes 3 days.", "It takes 5 days.", False),
        ("Yes, you can.", "No, you cannot.", False),
        ("Open the settings and choose Reset.", "The moon is made of rock and dust.", False),
    ],
)
async def test_which_answers_say_the_same(served: str, fresh: str, want: bool) -> None:
    assert await agree(served, fresh, embedder()) is want
