"""Find, put and forget, over a real Redis, by one pod and by two."""

import time
from dataclasses import replace
from typing import Any

import pytest
import redis as sync_redis

from asking import ANSWER, LOOKUP, TTL, ask, pod
from redisserver import RedisServer
from tuneloop_server.cache.tiers import FinishedAnswer
from tuneloop_server.circuit import RedisUnavailable

REWORDED = ask("Could you tell me how to reset my password?")


async def test_a_question_in_other_words_gets_the_answer(redis_url: str) -> None:
    async with pod(redis_url, time.time) as one:
        await one.tier.put(LOOKUP, ANSWER)
        hit = await one.tier.find(REWORDED)
        assert hit
        assert (hit.answer.text, hit.tier, hit.key) == (ANSWER.text, "semantic", LOOKUP.key)
        assert hit.answer.origin == "", "or what is said of this hit would be held against the other question"
        assert hit.similarity
        assert 0.5 < hit.similarity <= 1
        assert one.counted("tuneloop_semantic_lookups_total", domain="support", result="hit") == 1


async def test_a_question_that_is_worded_anew_gets_the_answer_when_the_model_is_sure(redis_url: str) -> None:
    stored, anew = "What is the difference between an executor and a trustee?", "Executor, trustee: I need the distinction explained."
    async with pod(redis_url, time.time) as one:
        await one.tier.put(ask(stored), ANSWER)
        assert await one.tier.find(ask(anew))
        assert await one.tier.find(ask("What is the difference between an executor and a beneficiary?")) is None
        assert one.counted("tuneloop_semantic_appeals_total", result="sure") == 1
        assert one.counted("tuneloop_semantic_appeals_total", result="unsure") == 1


async def test_the_model_is_not_asked_where_a_rule_names_the_difference_or_of_another_language(redis_url: str) -> None:
    async with pod(redis_url, time.time) as one:
        await one.tier.put(ask("How long is a marathon of 42 km in miles?"), ANSWER)
        await one.tier.put(ask("Qual é a diferença entre um testamenteiro e um herdeiro?"), ANSWER)
        assert await one.tier.find(ask("How long is a marathon of 21 km in miles?")) is None
        await one.tier.put(ask("Wie storniere ich meine Bestellung?"), ANSWER)
        assert await one.tier.find(ask("Qual é a diferença entre um testamenteiro e um tutor?")) is None
        assert await one.tier.find(ask("Wie verfolge ich meine Bestellung?")) is None
        assert one.counted("tuneloop_semantic_lookups_total", domain="support", result="guarded") == 3
        assert all(one.counted("tuneloop_semantic_appeals_total", result=result) == 0 for result in ("sure", "unsure"))


async def test_a_look_alike_is_guarded_and_a_stranger_is_a_miss(redis_url: str) -> None:
    async with pod(redis_url, time.time) as one:
        await one.tier.put(ask("How do I enable the alarm?"), ANSWER)
        assert await one.tier.find(ask("How do I disable the alarm?")) is None
        assert await one.tier.find(ask("Who wrote Hamlet?")) is None
        assert one.counted("tuneloop_semantic_lookups_total", domain="support", result="guarded") == 1
        assert one.counted("tuneloop_semantic_lookups_total", domain="support", result="miss") == 1
        assert one.counted("tuneloop_semantic_objections_total", rule="opposite") == 1


@pytest.mark.parametrize("change", [{"tenant": "bigco"}, {"adapter_digest": "sha256:new"}, {"base_digest": "x"}, {"domain": "legal"}])
async def test_who_and_what_never_share(redis_url: str, change: dict[str, Any]) -> None:
    async with pod(redis_url, time.time) as one:
        await one.tier.put(LOOKUP, ANSWER)
        assert await one.tier.find(replace(REWORDED, **change)) is None


@pytest.mark.parametrize("answer", [replace(ANSWER, finish="length"), replace(ANSWER, text=" ")])
async def test_an_answer_that_is_not_whole_is_not_kept(redis_url: str, answer: FinishedAnswer) -> None:
    async with pod(redis_url, time.time) as one:
        await one.tier.put(LOOKUP, answer)
        assert len(one.index) == 0


async def test_a_domain_that_did_not_opt_in_keeps_nothing(redis_url: str) -> None:
    async with pod(redis_url, time.time) as one:
        await one.tier.put(replace(LOOKUP, domain="legal"), ANSWER)
        with sync_redis.Redis.from_url(redis_url) as client:
            assert client.dbsize() == 0


async def test_another_pod_finds_it_after_a_restart_or_as_news(redis_url: str) -> None:
    async with pod(redis_url, time.time) as one, pod(redis_url, time.time) as other:
        await one.tier.put(LOOKUP, ANSWER)
        await other.until(lambda: len(other.index) == 1)
        assert await other.tier.find(REWORDED)
        await one.tier.put(ask("Where is my order?"), ANSWER)
        await other.until(lambda: len(other.index) == 2)


async def test_a_thumbs_down_takes_it_from_every_pod_and_denies_it(redis_url: str) -> None:
    async with pod(redis_url, time.time) as one, pod(redis_url, time.time) as other, pod(redis_url, time.time) as third:
        await one.tier.put(LOOKUP, ANSWER)
        await other.until(lambda: len(other.index) == 1)
        await third.until(lambda: len(third.index) == 1)
        hit = await other.tier.find(REWORDED)
        assert hit
        await one.tier.forget(hit.key)
        assert await one.tier.find(REWORDED) is None
        assert await other.tier.find(REWORDED) is None, "gone from Redis before the news"
        await third.until(lambda: len(third.index) == 0)
        await one.tier.put(LOOKUP, ANSWER)
        assert len(one.index) == 0, "denied"
        assert await one.tier.find(REWORDED) is None


async def test_a_pod_that_does_not_hold_it_takes_it_away_all_the_same(redis_url: str) -> None:
    async with pod(redis_url, time.time) as one, pod(redis_url, time.time) as other:
        await one.tier.put(LOOKUP, ANSWER)
        await other.tier.forget("of another request")
        assert await one.tier.find(REWORDED)
        await other.tier.forget(LOOKUP.key)
        assert await one.tier.find(REWORDED) is None, "before the news"
        await other.follower.step()
        assert len(other.index) == 0, "told of the entry and of its end at once"


async def test_hits_do_not_prolong_it(redis_url: str) -> None:
    now = time.time()
    async with pod(redis_url, lambda: now) as one:
        await one.tier.put(LOOKUP, ANSWER)
        now += TTL - 60
        hit = await one.tier.find(REWORDED)
        assert hit
        assert hit.age >= TTL - 62
        now += 120
        assert await one.tier.find(REWORDED) is None


async def test_a_redis_that_is_away_is_a_miss(redis_url: str) -> None:
    server = RedisServer().start()
    try:
        async with pod(server.url, time.time) as one:
            await one.tier.put(LOOKUP, ANSWER)
            server.stop()
            assert await one.tier.find(REWORDED) is None
            await one.tier.put(LOOKUP, ANSWER)
            with pytest.raises(RedisUnavailable):
                await one.tier.forget(LOOKUP.key)
            assert one.counted("tuneloop_semantic_lookups_total", domain="support", result="error") == 2
    finally:
        server.stop()


async def test_a_judgement_is_not_given_up_because_redis_was_away_a_moment_ago() -> None:
    server = RedisServer().start()
    try:
        async with pod(server.url, time.time) as one:
            await one.tier.put(LOOKUP, ANSWER)
            server.stop()
            assert await one.tier.find(REWORDED) is None
            server.start()
            await one.tier.forget(LOOKUP.key)
            await one.tier.put(LOOKUP, ANSWER)
            assert len(one.index) == 0, "denied"
    finally:
        server.stop()


async def test_an_entry_of_another_version_is_passed_over(redis_url: str) -> None:
    with sync_redis.Redis.from_url(redis_url) as client:
        client.xadd("tuneloop:sem:{chat/llm}", {"something": "new"})
    async with pod(redis_url, time.time) as one, pod(redis_url, time.time) as other:
        await one.tier.put(LOOKUP, ANSWER)
        await other.until(lambda: len(other.index) == 1)
