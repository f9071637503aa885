"""A Redis that is away, refuses us, or would eat what we record: requests never notice, the operator does."""

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import redis as sync_redis

from ports import free_port
from recorded import recorded
from redisserver import RedisServer
from tuneloop_contracts.pods import RedisState
from tuneloop_contracts.record import Feedback, Record, meta_key
from tuneloop_server.cache.exact import BUDGET, ExactTier
from tuneloop_server.cache.tiers import FinishedAnswer, Lookup
from tuneloop_server.circuit import LAST_PAUSE, CircuitBreaker, RedisUnavailable, within
from tuneloop_server.engine.base import Message, Sampling
from tuneloop_server.record import recorder as recording
from tuneloop_server.record.health import RecordHealth, may_evict_records
from tuneloop_server.record.recorder import Recorder
from waiting import beside, until

TARGET = "chat/chat-llm"


class Tally:
    def __init__(self) -> None:
        self.count = 0

    def add(self, number: int = 1) -> None:
        self.count += number


def look_up(key: str) -> Lookup:
    return Lookup(key, "acme", "support", "sha256:b", "", (Message("user", "x"),), Sampling(8, temperature=0))


def a_record(number: int) -> Record:
    return Record(
        id=f"int-{number}", conversation="c", user="", tenant="default", model="support", revision="base", domain="support", tagged=True,
        source="gen", finish="stop", milliseconds=1, prompt_tokens=1, completion_tokens=1, messages=({"role": "user", "content": "x"},),
    )  # fmt: skip


@asynccontextmanager
async def link_to(url: str, clock: Callable[[], float] = time.monotonic) -> AsyncIterator[CircuitBreaker]:
    breaker = CircuitBreaker(url, name="test", timeout=1.0, clock=clock)
    yield breaker
    await breaker.close()


@asynccontextmanager
async def recording_to(url: str) -> AsyncIterator[tuple[Recorder, Tally, Tally]]:
    written, dropped = Tally(), Tally()
    async with link_to(url) as breaker:
        recorder = Recorder(breaker, TARGET, timedelta(days=35), written.add, dropped.add)
        async with beside(recorder.run()):
            yield recorder, written, dropped


async def test_a_dead_redis_is_asked_once_and_then_left_alone() -> None:
    now = 0.0
    asked = 0

    async def ask(client: Any) -> None:
        nonlocal asked
        asked += 1
        await client.ping()

    async with link_to(f"redis://127.0.0.1:{free_port()}", clock=lambda: now) as breaker:
        for _ in range(50):
            with pytest.raises(RedisUnavailable):
                await breaker.run(ask)
        assert asked == 1
        now += LAST_PAUSE
        with pytest.raises(RedisUnavailable):
            await breaker.run(ask)
        assert (asked, breaker.up) == (2, False)


async def test_a_connection_that_was_closed_while_it_was_idle_is_made_anew(redis_url: str) -> None:
    async def ask(redis: Any) -> object:
        return await redis.ping()

    async with link_to(redis_url) as breaker:
        assert await breaker.run(ask)
        with sync_redis.Redis.from_url(redis_url) as client:
            assert client.client_kill_filter(_type="normal", skipme=True)
        assert await breaker.run(ask)


async def test_an_answer_that_came_while_the_model_kept_the_loop_busy_is_not_late() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)

    def answer_and_hold_the_loop() -> None:
        theirs.send(b"+PONG")
        threading.Event().wait(3 * BUDGET)

    asyncio.get_running_loop().call_soon(answer_and_hold_the_loop)
    with theirs:
        async with within(BUDGET):
            assert await reader.read(5) == b"+PONG"
        writer.close()
        await writer.wait_closed()


async def test_one_that_does_not_answer_is_given_its_time_and_no_more() -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        async with within(0.05):
            await asyncio.Event().wait()
    assert asyncio.get_running_loop().time() - began >= 0.045


async def test_what_must_not_be_given_up_lightly_is_tried_behind_an_open_circuit() -> None:
    server = RedisServer()
    try:
        async with link_to(server.url) as breaker:

            async def ask(redis: Any) -> object:
                return await redis.ping()

            with pytest.raises(RedisUnavailable):
                await breaker.run(ask)
            server.start()
            with pytest.raises(RedisUnavailable):
                await breaker.run(ask)
            assert await breaker.run(ask, patience=5)
            assert await breaker.run(ask), "and it is known to be back"
    finally:
        server.stop()


async def test_the_cache_misses_counts_and_comes_back() -> None:
    server = RedisServer().start()
    now = 0.0
    errors = Tally()
    answer = FinishedAnswer("hello", "stop", 1, 1, "int-1", time.time())
    try:
        async with link_to(server.url, clock=lambda: now) as breaker:
            cache = ExactTier(breaker, 60, errors.add)
            await cache.put(look_up("key"), answer)
            hit = await cache.find(look_up("key"))
            assert hit
            assert hit.answer == answer
            server.stop()
            assert await cache.find(look_up("key")) is None
            await cache.put(look_up("key"), answer)
            assert errors.count == 2
            server.start()
            now += LAST_PAUSE
            assert await cache.find(look_up("key")) is None
            assert (errors.count, breaker.up) == (2, True)
    finally:
        server.stop()


async def test_a_crowd_waits_for_its_turn_and_takes_redis_for_nothing_else(redis_url: str) -> None:
    """The client breaks when asked for more connections than it may have."""
    errors = Tally()
    async with link_to(redis_url) as breaker:
        cache = ExactTier(breaker, 60, errors.add)
        await asyncio.gather(*(cache.find(look_up(str(number))) for number in range(500)))
        assert (errors.count, breaker.up) == (0, True)


async def test_an_entry_that_is_not_ours_is_a_miss(redis_url: str) -> None:
    with sync_redis.Redis.from_url(redis_url) as client:
        for key, value in {"a": "not json", "b": "{}", "c": "[1]", "d": json.dumps({"text": "x", "new": 1})}.items():
            client.set(f"tuneloop:cache:{{{key}}}", value)
    errors = Tally()
    async with link_to(redis_url) as breaker:
        cache = ExactTier(breaker, 60, errors.add)
        assert [await cache.find(look_up(key)) for key in "abcd"] == [None] * 4
    assert errors.count == 4


async def test_a_redis_of_the_wrong_type_or_full_is_away_not_an_error(redis_url: str) -> None:
    with sync_redis.Redis.from_url(redis_url) as client:
        client.lpush("tuneloop:cache:{key}", "x")
    async with link_to(redis_url) as breaker:
        assert await ExactTier(breaker, 60, Tally().add).find(look_up("key")) is None


async def test_the_record_waits_for_redis_and_loses_nothing() -> None:
    server = RedisServer()
    try:
        async with recording_to(server.url) as (recorder, written, dropped):
            assert all(recorder.put(a_record(number)) for number in range(250))
            assert recorder.put(Feedback("int-1", "up"))
            server.start()
            await until(lambda: written.count == 251)
        with sync_redis.Redis.from_url(server.url) as client:
            assert [record.id for record in recorded(client)] == [f"int-{number}" for number in range(250)]
            assert client.hget(meta_key(TARGET), "n:support") == b"250"
        assert dropped.count == 0
    finally:
        server.stop()


async def test_repetitions_are_counted_through_an_outage_and_to_the_end() -> None:
    server = RedisServer()
    try:
        async with recording_to(server.url) as (recorder, written, dropped):
            for number in range(30):
                recorder.count(f"int-{number % 2}")
            server.start()
            await until(lambda: written.count == 30)
            recorder.count("int-1")
            await recorder.flush(5)
        with sync_redis.Redis.from_url(server.url, decode_responses=True) as client:
            (counts,) = client.scan_iter("*:hits")
            assert client.hgetall(counts) == {"int-0": "15", "int-1": "16"}
        assert (written.count, dropped.count) == (31, 0)
    finally:
        server.stop()


async def test_more_interactions_than_there_is_room_for_are_not_counted() -> None:
    async with recording_to(f"redis://127.0.0.1:{free_port()}") as (recorder, _, dropped):
        for number in range(recording.QUEUE + 10):
            recorder.count(f"int-{number}")
        recorder.count("int-1")
        assert dropped.count == 10


async def test_a_full_queue_drops_and_counts_and_never_blocks() -> None:
    async with recording_to(f"redis://127.0.0.1:{free_port()}") as (recorder, written, dropped):
        kept = [recorder.put(a_record(number)) for number in range(recording.QUEUE + 10)]
        assert (kept.count(False), dropped.count, written.count) == (10, 10, 0)


async def test_long_records_are_bounded_by_their_bytes() -> None:
    """Of a model that reads long contexts, as many as of a short one would not fit in a pod."""
    async with recording_to(f"redis://127.0.0.1:{free_port()}") as (recorder, _, dropped):
        long = a_record(0)._replace(answer="x" * 2**20)
        kept = sum(recorder.put(long) for _ in range(100))
        assert kept + dropped.count == 100
        assert 60 <= kept < recording.QUEUE_BYTES / 2**20


async def test_long_records_are_written_a_few_at_a_time(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    original = Recorder._write

    async def noted(self: Recorder, redis: Any) -> None:
        sizes.append(len(self._batch))
        await original(self, redis)

    monkeypatch.setattr(Recorder, "_write", noted)
    async with recording_to(redis_url) as (recorder, written, dropped):
        for _ in range(2):
            for number in range(20):
                assert recorder.put(a_record(number)._replace(answer="x" * 2**18))
            await until(lambda: written.count % 20 == 0 and written.count > 0)
        await until(lambda: written.count == 40)
        assert (max(sizes), dropped.count, recorder._waiting) == (4, 0, 0)


async def test_what_is_queued_at_the_end_is_written(redis_url: str) -> None:
    written, dropped = Tally(), Tally()
    async with link_to(redis_url) as breaker:
        recorder = Recorder(breaker, TARGET, timedelta(days=35), written.add, dropped.add)
        recorder.put(a_record(1))
        await recorder.flush(5)
    assert (written.count, dropped.count) == (1, 0)


async def test_what_cannot_be_written_at_the_end_is_counted() -> None:
    written, dropped = Tally(), Tally()
    async with link_to(f"redis://127.0.0.1:{free_port()}") as breaker:
        recorder = Recorder(breaker, TARGET, timedelta(days=35), written.add, dropped.add)
        recorder.put(a_record(1))
        await recorder.flush(0.1)
    assert (written.count, dropped.count) == (0, 1)


async def test_a_flushed_redis_is_whole_again_with_the_next_record(redis_url: str) -> None:
    async with recording_to(redis_url) as (recorder, written, _):
        recorder.put(a_record(1))
        await until(lambda: written.count == 1)
        with sync_redis.Redis.from_url(redis_url, decode_responses=True) as client:
            client.flushall()
            recorder.put(a_record(2))
            await until(lambda: written.count == 2)
            assert client.hgetall(meta_key(TARGET)) == {"shards": "1", "schema": "2", "n:support": "1"}


async def look(url: str, **settings: str) -> RedisState:
    if settings:
        with sync_redis.Redis.from_url(url) as client:
            for name, value in settings.items():
                client.config_set(name.replace("_", "-"), value)
    async with link_to(url) as breaker:
        changes = Tally()
        health = RecordHealth(breaker, TARGET, changes.add)
        await health.look()
        assert changes.count == (health.state is not RedisState.UNREACHABLE), "the operator hears of a change, and only of that"
        return health.state


async def test_what_the_operator_hears_of_redis(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = RedisServer(password="sesame")
    try:
        server.start()
        wrong = server.url.replace("sesame", "hunter2")
        none = server.url.replace(":sesame@", "")
        assert await look(server.url) is RedisState.OK
        assert await look(wrong) is RedisState.UNAUTHORIZED
        assert await look(none) is RedisState.UNAUTHORIZED
        assert await look(server.url, maxmemory="100mb", maxmemory_policy="allkeys-lru") is RedisState.UNSAFE_EVICTION
        assert await look(server.url, maxmemory_policy="noeviction") is RedisState.OK
        server.stop()
        assert await look(server.url) is RedisState.UNREACHABLE
    finally:
        server.stop()
    assert "hunter2" not in caplog.text
    assert "sesame" not in caplog.text


async def test_a_password_that_is_changed_while_records_wait_is_told_apart() -> None:
    """Whose tries keep the circuit open."""
    server = RedisServer(password="old").start()
    try:
        async with recording_to(server.url) as (recorder, written, _):
            health = RecordHealth(recorder._breaker, TARGET, lambda: None)
            recorder.put(a_record(1))
            await until(lambda: written.count == 1)
            with sync_redis.Redis.from_url(server.url) as client:
                client.config_set("requirepass", "new")
                client.client_kill_filter(_type="normal", skipme=True)
            recorder.put(a_record(2))
            await until(lambda: recorder._breaker.up is False)
            await health.look()
            assert health.state is RedisState.UNAUTHORIZED
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("settings", "want"),
    [
        ({"maxmemory": "0", "maxmemory-policy": "allkeys-lru"}, False),
        ({"maxmemory": "1000000", "maxmemory-policy": "allkeys-lru"}, True),
        ({"maxmemory": "1000000", "maxmemory-policy": "volatile-ttl"}, True),
        ({"maxmemory": "1000000", "maxmemory-policy": "noeviction"}, False),
        ({}, False),
    ],
)
def test_which_policy_may_evict_records(settings: dict[str, str], want: bool) -> None:
    assert may_evict_records(settings) is want


async def test_a_denied_answer_is_neither_given_nor_kept(redis_url: str) -> None:
    """Each by itself: a generation may have begun before the denial, and end after it."""
    answer = FinishedAnswer("hello", "stop", 1, 1, "int-1", time.time())
    async with link_to(redis_url) as breaker:
        tier = ExactTier(breaker, 60, Tally().add)
        await tier.put(look_up("written"), answer)
        with sync_redis.Redis.from_url(redis_url) as client:
            kept = client.get("tuneloop:cache:{written}")
            await tier.forget("written")
            assert client.get("tuneloop:cache:{written}") is None
            await tier.put(look_up("written"), answer)
            assert client.get("tuneloop:cache:{written}") is None
            client.set("tuneloop:cache:{written}", str(kept, "utf-8"))  # type: ignore[arg-type]
            assert 0 < client.ttl("tuneloop:cache:{written}:denied") <= 60  # type: ignore[operator]
        assert await tier.find(look_up("written")) is None
