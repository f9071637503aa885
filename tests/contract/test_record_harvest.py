"""Record: what the server writes to a real Redis is what the harvest reads back, feedback joined."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from tuneloop_contracts.record import Feedback, Record
from tuneloop_server.circuit import CircuitBreaker
from tuneloop_server.record.recorder import Recorder
from tuneloop_trainer.harvest.connect import connect
from tuneloop_trainer.harvest.retry import RetryPolicy
from tuneloop_trainer.harvest.source import Source
from waiting import beside

TARGET = "chat/chat-llm"
ANSWERED = Record(
    id="int-1", conversation="talk-1", user="5f3a", tenant="acme", model="auto", revision="support-v1-1a2b3c4d", domain="support",
    tagged=False, source="gen", finish="stop", milliseconds=412, prompt_tokens=37, completion_tokens=9,
    messages=({"role": "system", "content": "Seja breve."}, {"role": "user", "content": "Onde está a fatura? 🧾"}), answer="No e-mail.",
)  # fmt: skip
REPEATED = ANSWERED._replace(id="int-2", source="cache", messages=(), answer="", origin="int-1")
JUDGED = Feedback("int-2", "down", "Na sua conta.", "77aa", "wrong place")


async def write(url: str) -> None:
    breaker = CircuitBreaker(url, name="record", timeout=5.0)
    done = asyncio.Event()
    recorder = Recorder(breaker, TARGET, timedelta(days=35), on_written=lambda _: done.set(), on_dropped=lambda _: None)
    for entry in (ANSWERED, REPEATED, JUDGED):
        recorder.put(entry)
    async with beside(recorder.run()):
        await asyncio.wait_for(done.wait(), 10)
    await breaker.close()


async def test_written_by_the_server_read_by_the_harvest(redis_url: str) -> None:
    began = datetime.now(UTC) - timedelta(minutes=1)
    await write(redis_url)
    now = datetime.now(UTC) + timedelta(minutes=1)
    with connect(redis_url) as client:
        source = Source(client, RetryPolicy(lambda _: None, time.monotonic, time.sleep), TARGET, began, now)
        shards = source.shards()
        read = [entry.record for entry in source.entries(source.read_watermarks(shards))]
        said = source.feedback(shards, now)
    assert shards == 1
    assert read == [REPEATED, ANSWERED]
    assert said == {"int-2": JUDGED}
    assert source.lost == 0
