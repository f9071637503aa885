"""Recorded traffic for tests: every other entry as the server writes it, the rest as those do who record by hand."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import redis

from tuneloop_contracts.record import SCHEMA, Feedback, Record, feedback_stream, meta_key, record_stream

TARGET = "chat/chat-llm"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
WORDS = (
    "amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jade",
    "koala", "lemon", "maple", "nectar", "olive", "pearl", "quartz", "raven", "sable", "tulip",
)  # fmt: skip


def record(number: int, domain: str = "support", **changes: object) -> Record:
    """The `number`th interaction: its question shares no three words with another's."""
    first, second, third = (WORDS[(number // 20**place) % 20] for place in range(3))
    question = f"Please {first}{number} explain {second} thing {third} number{number} now"
    plain = Record(
        id=f"i-{number}", conversation=f"c-{number}", user=f"u-{number}", tenant="default", model=domain, revision="base", domain=domain,
        tagged=True, source="gen", finish="stop", milliseconds=5, prompt_tokens=7, completion_tokens=9,
        messages=({"role": "user", "content": question},), answer=f"Answer {number}.",
    )  # fmt: skip
    return plain._replace(**changes)


def by_hand(entry: Record) -> dict[str, str]:
    """Schema 1, a field for each value."""
    fields = {
        "v": "1", "id": entry.id, "conv": entry.conversation, "user": entry.user, "tenant": entry.tenant, "model": entry.model,
        "revision": entry.revision, "domain": entry.domain, "tag": str(int(entry.tagged)), "src": entry.source, "finish": entry.finish,
        "ms": str(entry.milliseconds), "ptok": str(entry.prompt_tokens), "ctok": str(entry.completion_tokens),
    }  # fmt: skip
    return fields | ({"origin": entry.origin} if entry.origin else {"msgs": json.dumps(entry.messages), "ans": entry.answer})


def asked(question: str, **changes: object) -> dict[str, object]:
    """Changes that make a record ask this."""
    return {"messages": ({"role": "user", "content": question},), **changes}


def write(url: str, records: Iterable[Record], *, at: datetime = NOW - timedelta(days=1), target: str = TARGET, shards: int = 1) -> None:
    """One record a millisecond from `at` on, with the meta hash that a server keeps."""
    with redis.Redis.from_url(url) as client:
        write_to(client, records, at=at, target=target, shards=shards)


def write_to(client: "redis.Redis", records: Iterable[Record], *, at: datetime, target: str = TARGET, shards: int = 1) -> None:
    client.hset(meta_key(target), mapping={"shards": str(shards), "schema": SCHEMA})
    for n, entry in enumerate(records):
        moment = at + timedelta(milliseconds=n)
        stream = record_stream(target, n % shards, moment.date())
        fields = by_hand(entry) if n % 2 else entry.to_fields()
        client.xadd(stream, fields, id=f"{int(moment.timestamp() * 1000)}-0")  # type: ignore[arg-type]
        client.hincrby(meta_key(target), f"n:{entry.domain}", 1)


def judge(url: str, *said: Feedback, at: datetime = NOW - timedelta(hours=1), target: str = TARGET) -> None:
    with redis.Redis.from_url(url) as client:
        judge_on(client, *said, at=at, target=target)


def judge_on(client: "redis.Redis", *said: Feedback, at: datetime, target: str = TARGET) -> None:
    for n, feedback in enumerate(said):
        moment = at + timedelta(milliseconds=n)
        key = f"{int(moment.timestamp() * 1000)}-0"
        client.xadd(feedback_stream(target, 0, moment.date()), feedback.to_fields(), id=key)  # type: ignore[arg-type]
