"""Server -> Redis -> harvest: what the server writes, or somebody by hand, is what the harvest reads."""

import re
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis

from tuneloop_contracts.record import SCHEMA, Feedback, Record, feedback_stream, meta_key, record_stream
from tuneloop_trainer.harvest.connect import connect
from tuneloop_trainer.harvest.retry import RetryPolicy
from tuneloop_trainer.harvest.source import Source

TARGET = "chat/chat-llm"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GENERATED = Record(
    id="i-1", conversation="c", user="hash", tenant="default", model="auto", revision="support-v1-00000000", domain="support",
    tagged=False, source="gen", finish="stop", milliseconds=812, prompt_tokens=31, completion_tokens=12,
    messages=({"role": "system", "content": "Seja breve."}, {"role": "user", "content": "Olá \u2028 “não” \n 🙂"}), answer="Sim: ação.",
)  # fmt: skip
REPEATED = GENERATED._replace(id="i-2", source="cache", origin="i-1", messages=(), answer="")


def source(client: "redis.Redis") -> Source:
    retry = RetryPolicy(lambda reason: None, time.monotonic, time.sleep)
    return Source(client, retry, TARGET, NOW - timedelta(days=1), NOW)


DOCUMENT = Path(__file__).parents[2] / "docs" / "server.md"


def test_what_the_documents_record_by_hand_is_read(redis_url: str) -> None:
    (commands,) = re.findall(r"```sh\n(redis-cli HSET .*?)```", DOCUMENT.read_text(), re.DOTALL)
    subprocess.run(["bash", "-ec", commands.replace("redis-cli", f"redis-cli -u {redis_url}")], check=True, stdout=subprocess.DEVNULL)
    with connect(redis_url) as client:
        now = datetime.now(UTC)
        read = Source(client, RetryPolicy(lambda reason: None, time.monotonic, time.sleep), TARGET, now - HOUR, now + HOUR)
        (entry,) = read.entries(read.read_watermarks(read.shards()))
    assert entry.record == Record(
        id="i-1", conversation="c-1", user="", tenant="default", model="auto", revision="base", domain="support", tagged=False,
        source="gen", finish="stop", milliseconds=812, prompt_tokens=31, completion_tokens=12,
        messages=({"role": "user", "content": "Where is it?"},), answer="On its way.",
    )  # fmt: skip


def test_records_and_feedback_come_back_as_they_were(redis_url: str) -> None:
    said = [Feedback("i-1", "down", correction="Não.", by="hash"), Feedback("i-2", "up")]
    with connect(redis_url) as client:
        client.hset(meta_key(TARGET), mapping={"shards": "2", "schema": SCHEMA})
        at = int((NOW - timedelta(hours=1)).timestamp() * 1000)
        for shard, (record, feedback) in enumerate(zip((GENERATED, REPEATED), said, strict=True)):
            client.xadd(record_stream(TARGET, shard, NOW.date()), record.to_fields(), id=f"{at}-{shard}")  # type: ignore[arg-type]
            client.xadd(feedback_stream(TARGET, shard, NOW.date()), feedback.to_fields(), id=f"{at}-{shard}")  # type: ignore[arg-type]
        read = source(client)
        shards = read.shards()
        assert [entry.record for entry in read.entries(read.read_watermarks(shards))] == [REPEATED, GENERATED]
        assert read.feedback(shards, NOW) == {feedback.id: feedback for feedback in said}
        assert read.lost == 0
