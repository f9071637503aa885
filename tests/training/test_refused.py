"""A Redis that does not do, or does not hold, what it should: people are told what to change, and nobody waits for it in vain."""

import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from redisserver import RedisServer
from redistopologies import clustered
from training.traffic import NOW, TARGET, record, write
from tuneloop_contracts.answers import semantic_stream
from tuneloop_contracts.jobs import RedisMode
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.record import erased_key, feedback_stream, meta_key, record_stream, repeats_key
from tuneloop_trainer.errors import NeedsEdit, TrainerError, TryLater
from tuneloop_trainer.forget.command import forget
from tuneloop_trainer.harvest import retry
from tuneloop_trainer.harvest.connect import connect
from tuneloop_trainer.harvest.retry import RetryPolicy
from tuneloop_trainer.harvest.source import Source
from tuneloop_trainer.inspection import show

YESTERDAY = NOW.date().replace(day=NOW.day - 1)
RECORDS = record_stream(TARGET, 0, YESTERDAY)
FEEDBACK = feedback_stream(TARGET, 0, YESTERDAY)
REPEATS = repeats_key(TARGET, 0, YESTERDAY)
STANDALONE = RedisMode.STANDALONE.value


def inspected(url: str, mode: str = STANDALONE) -> None:
    show(Namespace(redis=url, redis_mode=mode, target="", json=True), {})


def forgotten(url: str, mode: str = STANDALONE, user: str = "f" * 24) -> None:
    fields = {"cache_redis": "", "datasets": "", "adapters": "", "manifest": "", "tenant": "default", "dry_run": False}
    forget(Namespace(user=user, target=TARGET, redis=url, redis_mode=mode, **fields), {})


def harvested(url: str, mode: str = STANDALONE) -> None:
    waits = RetryPolicy(lambda reason: None, time.monotonic, lambda seconds: None)
    with waits.call(lambda: connect(url, RedisMode(mode))) as client:
        source = Source(client, waits, TARGET, NOW.replace(day=1), NOW)
        shards = source.shards()
        watermarks = source.read_watermarks(shards)
        source.feedback(shards, NOW)
        list(source.entries(watermarks))


@pytest.fixture(autouse=True)
def hardly_any_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "LIMIT", 0.0)


@pytest.mark.parametrize(
    ("work", "key", "kind"),
    [
        (inspected, meta_key(TARGET), "hash"), (inspected, RECORDS, "stream"), (inspected, FEEDBACK, "stream"),
        (inspected, REPEATS, "hash"), (harvested, meta_key(TARGET), "hash"), (harvested, RECORDS, "stream"),
        (harvested, FEEDBACK, "stream"),
        (harvested, erased_key(RECORDS), "hash"), (forgotten, RECORDS, "stream"), (forgotten, erased_key(RECORDS), "hash"),
        (forgotten, semantic_stream(TARGET), "stream"),
    ],
)  # fmt: skip
def test_a_key_of_another_type_is_named(work: Callable[[str], None], key: str, kind: str, redis_url: str) -> None:
    write(redis_url, [record(1)])
    with redis.Redis.from_url(redis_url) as client:
        client.delete(key)
        client.set(key, "x")
        with pytest.raises(NeedsEdit, match="something else wrote it") as refused:
            work(redis_url)
        assert refused.value.fault.message.startswith(f"Redis key {key} is a string and must be a {kind}: ")
        client.rename(key, f"{key}.moved")  # as the message says
        work(redis_url)


@pytest.mark.parametrize(
    ("work", "key", "field", "value"),
    [
        (harvested, meta_key(TARGET), "shards", "one"), (inspected, meta_key(TARGET), "shards", "-1"),
        (harvested, meta_key(TARGET), "shards", "99999999999"), (inspected, meta_key(TARGET), "n:support", "many"),
        (inspected, REPEATS, "i-1", "twice"), (harvested, erased_key(RECORDS), RECORDS, "\u0663"),
        (forgotten, erased_key(RECORDS), RECORDS, "1.5"),
    ],
)  # fmt: skip
def test_a_field_that_is_no_number_is_named(work: Callable[[str], None], key: str, field: str, value: str, redis_url: str) -> None:
    write(redis_url, [record(1)])
    with redis.Redis.from_url(redis_url) as client:
        client.hset(key, field, value)
        with pytest.raises(NeedsEdit) as refused:
            work(redis_url)
        assert refused.value.fault.message.startswith(f"Redis key {key}, field {field}: {value!r} must be a whole number from 0 to ")
        client.hset(key, field, "1")
        work(redis_url)


def test_names_that_are_no_text_are_nobody_s(redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(redis_url, [record(1)])
    with redis.Redis.from_url(redis_url) as client:
        client.hset(b"tuneloop:chat/\xff:meta", "shards", 1)
        client.hset(meta_key(TARGET), b"\xff", b"\xff")  # type: ignore[arg-type]
        client.xadd(f"tuneloop:{{{TARGET}:0}}:rec:2026030".encode() + b"\xff", {"a": "b"})
    inspected(redis_url)
    forgotten(redis_url)
    assert "removed" in capsys.readouterr().out


READER = ("on", ">pw", "~*", "+@read", "+@connection")


@pytest.mark.parametrize(
    ("work", "rules", "want"),
    [
        pytest.param(harvested, (*READER, "-xrevrange"), "does not let this user run XREVRANGE: grant it", id="one command"),
        pytest.param(harvested, ("on", ">pw", "~other:*", "+@all"), "touch a key of this target: grant it", id="other keys"),
        pytest.param(forgotten, READER, "run EVALSHA: grant it with ACL SETUSER", id="no writes"),
        pytest.param(inspected, ("on", ">other"), "refuses the user or the password", id="another password"),
    ],
)
def test_who_may_not_is_told_what_to_grant(work: Callable[..., None], rules: tuple[str, ...], want: str, redis_url: str) -> None:
    write(redis_url, [record(1, user="f" * 24)])
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("ACL", "SETUSER", "secretive", *rules)  # type: ignore[no-untyped-call]
        try:
            refusal(lambda: work(redis_url.replace("redis://", "redis://secretive:pw@")), TryLater, FaultReason.REDIS_UNAUTHORIZED, want)
        finally:
            client.execute_command("ACL", "DELUSER", "secretive")  # type: ignore[no-untyped-call]


def test_a_server_that_lacks_something() -> None:
    server = RedisServer(options=("--rename-command", "XREVRANGE", "")).start()
    try:
        write(server.url, [record(1)])
        refusal(lambda: harvested(server.url), NeedsEdit, FaultReason.INVALID_CONFIG, "cannot run XREVRANGE")
        refusal(lambda: inspected(f"{server.url}99"), NeedsEdit, FaultReason.INVALID_CONFIG, "the database number")
        refusal(lambda: inspected(f"{server.url}?colour=blue"), NeedsEdit, FaultReason.INVALID_CONFIG, "cannot be read")
        refusal(lambda: harvested(server.url, "Cluster"), NeedsEdit, FaultReason.INVALID_CONFIG, "no cluster: set the mode Standalone")
    finally:
        server.stop()


def test_nobody_is_forgotten_by_a_third(tmp_path: Path) -> None:
    """A node of a cluster has a share of the keys: a client that takes it for the whole would say `removed`."""
    with clustered(tmp_path) as nodes:
        for work in (inspected, forgotten, harvested):
            refusal(lambda work=work: work(nodes[0].url), NeedsEdit, FaultReason.INVALID_CONFIG, "node of a cluster: set the mode Cluster")  # type: ignore[misc]


def test_a_replica_takes_no_writes() -> None:
    master = RedisServer(options=("--repl-diskless-sync-delay", "0")).start()
    replica = RedisServer(options=("--replicaof", "127.0.0.1", str(master.port))).start()
    try:
        write(master.url, [record(1, user="f" * 24)])
        with redis.Redis.from_url(master.url) as client:
            assert client.wait(1, 4_000) == 1
        refusal(lambda: forgotten(replica.url), TryLater, FaultReason.REDIS_UNREACHABLE, "a replica and takes no writes")
    finally:
        replica.stop()
        master.stop()


def refusal(work: Callable[[], Any], kind: type[TrainerError], reason: FaultReason, want: str) -> None:
    with pytest.raises(kind) as refused:
        work()
    assert refused.value.fault.reason is reason
    assert want in refused.value.fault.message
    assert "secretive" not in refused.value.fault.message
