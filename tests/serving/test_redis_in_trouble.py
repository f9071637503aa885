"""A Redis that is mute, full or killed in the midst of traffic: every answer comes, and what was lost is counted."""

import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import redis as sync_redis

from lightserver import TARGET, LightServer, light_server
from ports import free_port
from redisserver import RedisServer
from tuneloop_contracts.record import DEFAULT_RETENTION
from tuneloop_server.cache.tiers import FinishedAnswer, Hit, Lookup
from tuneloop_server.circuit import CircuitBreaker, RedisUnavailable
from tuneloop_server.errors import Unavailable
from tuneloop_server.feedback.protocol import FeedbackRequest
from tuneloop_server.feedback.service import FeedbackService
from tuneloop_server.record.interaction_ids import InteractionIds
from tuneloop_server.record.recorder import Recorder
from waiting import until

SOON = 1.0
"""Seconds: half of what the mute Redis would take; the budget itself is a twentieth of this."""


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    if server.process:
        server.process.send_signal(signal.SIGCONT)
    server.stop()


def sample(pod: LightServer, name: str) -> float:
    return pod.parts.metrics.registry.get_sample_value(name) or 0.0


async def test_a_mute_redis_holds_nobody_up(own_redis: RedisServer) -> None:
    async with light_server(own_redis.url) as pod:
        await pod.ask()
        assert own_redis.process
        os.kill(own_redis.process.pid, signal.SIGSTOP)
        for number in range(5):
            began = time.monotonic()
            answer = await pod.ask(f"Question {number}?")
            assert (answer.status_code, answer.headers["X-Cache"]) == (200, "miss")
            assert time.monotonic() - began < SOON
        assert sample(pod, "tuneloop_cache_errors_total") >= 5
        os.kill(own_redis.process.pid, signal.SIGCONT)

        async def back() -> bool:
            return await pod.cached("Back?") == "hit-exact"

        await until(back)
        await until(lambda: sample(pod, "tuneloop_records_written_total") >= 7)
        assert sample(pod, "tuneloop_records_dropped_total") == 0


class _Tier:
    """One that only forgets; or cannot, while Redis is away."""

    def __init__(self, away: bool) -> None:
        self._away = away
        self.forgot: list[str] = []

    async def find(self, lookup: Lookup) -> Hit | None:
        return None

    async def put(self, lookup: Lookup, answer: FinishedAnswer) -> None:
        return None

    async def forget(self, key: str) -> None:
        if self._away:
            raise RedisUnavailable
        self.forgot.append(key)


async def test_a_tier_that_cannot_tell_redis_does_not_keep_the_next_from_forgetting() -> None:
    async with link_to_nothing() as breaker:
        ids, tiers = InteractionIds(lambda: "salt"), (_Tier(away=True), _Tier(away=False))
        recorder = Recorder(breaker, TARGET, DEFAULT_RETENTION, lambda _: None, lambda _: None)
        down = FeedbackRequest(interaction_id=ids.new_id("acme", "k" * 32), rating="down")
        with pytest.raises(Unavailable):
            await FeedbackService(ids, recorder, tiers).take(down, "acme")
        assert tiers[1].forgot == ["k" * 32]


@asynccontextmanager
async def link_to_nothing() -> AsyncIterator[CircuitBreaker]:
    breaker = CircuitBreaker(f"redis://127.0.0.1:{free_port()}", name="test", timeout=1.0)
    yield breaker
    await breaker.close()


async def test_a_thumbs_down_that_the_cache_cannot_hear_is_not_called_done(own_redis: RedisServer) -> None:
    async with light_server(own_redis.url) as pod:
        answer = await pod.ask()
        own_redis.stop()
        body = {"interaction_id": answer.headers["X-Interaction-Id"], "rating": "down"}
        said = await pod.http.post("/v1/feedback", json=body)
        assert (said.status_code, said.json()["error"]["code"]) == (503, "still_cached")
        assert said.headers["Retry-After"]
        assert (await pod.http.post("/v1/feedback", json=body | {"rating": "up"})).status_code == 200


@pytest.mark.parametrize("limit", ["maxmemory", "min-replicas-to-write"])
async def test_a_redis_that_takes_nothing_is_still_read(own_redis: RedisServer, limit: str) -> None:
    """It is full, or its replicas are gone."""
    async with light_server(own_redis.url) as pod:
        await pod.ask("Kept?")
        with sync_redis.Redis.from_url(own_redis.url) as client:
            client.config_set(limit, "1")
            for number in range(3):
                assert await pod.cached(f"Question {number}?") == "miss"
                assert await pod.cached("Kept?") == "hit-exact"
            assert sample(pod, "tuneloop_cache_errors_total") == 3, "each answer that could not be kept, and nothing else"
            client.config_set(limit, "0")
        await until(lambda: sample(pod, "tuneloop_records_written_total") == 7)
        assert await pod.cached("Question 0?") == "miss"
        assert await pod.cached("Question 0?") == "hit-exact"


async def test_a_redis_that_became_a_replica_is_left_for_the_one_that_has_its_address(own_redis: RedisServer) -> None:
    """As after a failover behind a Service: open connections stay with the old master, which refuses what is written."""
    async with light_server(own_redis.url) as pod:
        await pod.ask()
        with sync_redis.Redis.from_url(own_redis.url) as client:
            client.config_set("port", free_port())
            client.replicaof("127.0.0.1", free_port())
        promoted = RedisServer(port=own_redis.port).start()
        try:

            async def written() -> bool:
                return await pod.cached("To whom?") == "hit-exact" and sample(pod, "tuneloop_records_written_total") >= 3

            await until(written)
            with sync_redis.Redis.from_url(promoted.url) as client:
                assert client.keys("tuneloop:cache:*")
                await until(lambda: any("t" in one["flags"] for one in client.client_list()))  # which tells of changes
        finally:
            promoted.stop()


async def test_answers_in_memory_are_not_given_while_removals_cannot_be_heard(own_redis: RedisServer) -> None:
    async with light_server(own_redis.url) as pod:

        async def remembered() -> bool:
            await pod.ask()
            return pod.parts.exact is not None and pod.parts.exact.remembered > 0

        await until(remembered)
        own_redis.stop()
        await until(lambda: pod.parts.exact is not None and pod.parts.exact.remembered == 0)
        assert await pod.cached() == "miss"
