"""From other caches in a real Redis to a dataset. The query engine that wrote them is a stand-in: see queryengine."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from imports.make_fixtures import WRITERS
from imports.queryengine import QueryEngine, query_engine
from imports.stored import load
from redisserver import RedisServer
from training.examples import CONFIG
from training.test_harvest import folder_of, harvest
from training.traffic import NOW, record, write
from tuneloop_contracts.dataset import HELD_OUT_FILE, TRAIN_FILE, USERS_FILE, Dataset, ImportCounts
from tuneloop_contracts.jobs import Curation, Import, ImportFormat
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.record import user_hash
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.harvest.retry import RetryPolicy
from tuneloop_trainer.imports import scan
from tuneloop_trainer.imports.collect import read_imports
from tuneloop_trainer.imports.scan import KeyReader
from tuneloop_trainer.rows import Row, read_rows

READING = {b"SCAN", b"TYPE", b"HGETALL", b"LRANGE", b"GET", b"JSON.GET"}
LATER = datetime(2027, 1, 1, tzinfo=UTC).isoformat()


@pytest.fixture(scope="module")
def module_redis() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    server.stop()


@pytest.fixture
def engine(module_redis: RedisServer) -> Iterator[QueryEngine]:
    """Empty at the start of each test."""
    with query_engine(module_redis.port) as engine:
        with redis.Redis.from_url(module_redis.url) as client:
            client.flushall()
        yield engine


def filled(engine: QueryEngine, *names: str) -> "redis.Redis":
    client = redis.Redis.from_url(engine.url)
    for name in names:
        load(client, name)
    engine.seen.clear()
    return client


def imported(engine: QueryEngine, folder: Path, *wanted: Import, **changes: object) -> Dataset:
    settings: dict[str, object] = {"window_end": LATER, "min_examples_per_domain": 1, "salt": "salt", "imports": wanted}
    return harvest(engine.url, folder, **settings | changes)


def rows(dataset: Dataset) -> list[Row]:
    return [row for name in (TRAIN_FILE, HELD_OUT_FILE) for row in read_rows(folder_of(dataset) / name)]


def skipped(counts: ImportCounts) -> dict[str, int]:
    return {count.name: count.count for count in counts.skipped}


def test_every_format_joins_what_was_recorded_and_is_counted(engine: QueryEngine, tmp_path: Path) -> None:
    filled(engine, *WRITERS).close()
    write(engine.url, (record(n) for n in range(10)))
    dataset = imported(engine, tmp_path, *(Import(format=format) for format in ImportFormat))
    by_format = {counts.format: counts.imported for counts in dataset.imported}
    assert by_format == {"RedisVL": 2, "LangChainRedis": 7, "SemanticRouter": 2, "GPTCache": 1, "LiteLLM": 1}
    assert dataset.read == 10 + sum(by_format.values()) == dataset.kept + sum(count.count for count in dataset.dropped)
    answers = {row.completion[-1]["content"] for row in rows(dataset)}
    assert {"Open the order and press Refund.", "Within two months, yes.", "In /var/log.", "A running program.", "Answer 3."} <= answers
    assert "Within two" not in answers, "what was cut off is not taught"
    reasons = [skipped(counts) for counts in dataset.imported]
    assert [one.get("not harvestable: no prompt", 0) for one in reasons] == [0, 1, 1, 0, 0]
    assert any(row.domain == "support" and "refund" in row.prompt[-1]["content"] for row in rows(dataset))


def test_entries_come_newest_first_as_those_of_the_record(engine: QueryEngine) -> None:
    with filled(engine, "semantic_router", "gptcache_store", "redisvl_caches") as client:
        retry = RetryPolicy(lambda reason: None, clock=lambda: 0.0, sleep=lambda seconds: None)
        formats = (ImportFormat.REDISVL, ImportFormat.GPTCACHE, ImportFormat.SEMANTIC_ROUTER)
        wanted = CONFIG.model_copy(update={"window_end": LATER, "imports": tuple(Import(format=format) for format in formats)})
        entries = read_imports(KeyReader(client, retry), wanted).entries
    assert len(entries) == 5
    assert list(entries) == sorted(entries, key=lambda entry: entry.at, reverse=True)


def test_imports_only_read(engine: QueryEngine, tmp_path: Path) -> None:
    with filled(engine, *WRITERS) as client:
        before = {key: client.dump(key) for key in client.scan_iter()}
        engine.seen.clear()
        imported(engine, tmp_path, *(Import(format=format) for format in ImportFormat))
        used = set(engine.seen) - {b"HELLO", b"CLIENT", b"INFO", b"HGET", b"XINFO", b"XRANGE"}
        assert used == READING
        assert {key: client.dump(key) for key in client.scan_iter()} == before


def test_a_prefix_is_the_whole_of_what_is_looked_at(engine: QueryEngine, tmp_path: Path) -> None:
    filled(engine, *WRITERS).close()
    dataset = imported(engine, tmp_path, Import(format=ImportFormat.REDISVL, prefix="help*"))
    assert dataset.imported == (ImportCounts(format="RedisVL", prefix="help*", imported=0),), "a star is a star"
    proxy = Import(format=ImportFormat.LITELLM, prefix="proxy:")
    (counts,) = imported(engine, tmp_path, proxy).imported
    assert (counts.imported, skipped(counts)) == (0, {"not harvestable: no prompt": 2})


def test_a_history_is_one_conversation_and_its_answers_stay_on_one_side(
    engine: QueryEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "PAGE", 2)
    filled(engine, "redisvl_caches").close()
    dataset = imported(engine, tmp_path, Import(format=ImportFormat.REDISVL, prefix="helpdesk:"))
    assert dataset.imported[0].imported == 2
    assert len({row.conversation for row in rows(dataset)}) == 1


def test_the_same_keys_give_the_same_rows(engine: QueryEngine, tmp_path: Path) -> None:
    filled(engine, *WRITERS).close()
    wanted = [Import(format=format) for format in ImportFormat]
    first = imported(engine, tmp_path, *wanted)
    shutil.rmtree(folder_of(first))
    assert imported(engine, tmp_path, *wanted) == first
    assert len({row.id for row in rows(first)}) == len(rows(first))


def test_what_was_said_after_the_window_is_left_out(engine: QueryEngine, tmp_path: Path) -> None:
    filled(engine, "redisvl_caches").close()
    (counts,) = imported(engine, tmp_path, Import(format=ImportFormat.REDISVL), window_end=NOW.isoformat()).imported
    assert (counts.imported, skipped(counts)) == (0, {"newer than the window": 2, "another layout": 1})


def test_personal_data_is_out_and_users_are_hashed_as_the_server_does(engine: QueryEngine, tmp_path: Path) -> None:
    with filled(engine, "redisvl_caches") as client:
        (key,) = client.keys("shop:*")
        client.hset(key, "prompt", "I am ana@example.com, where is my parcel?")
    shop = Import(format=ImportFormat.REDISVL, prefix="shop:")
    dataset = imported(engine, tmp_path, shop, curation=Curation())
    (row,) = rows(dataset)
    assert "example.com" not in row.to_line()
    assert user_hash(b"salt", "acme", "ana") in (folder_of(dataset) / USERS_FILE).read_text()
    assert "ana" not in "".join(file.read_text() for file in folder_of(dataset).iterdir())


def test_an_import_without_tenants_is_the_default_tenants(engine: QueryEngine, tmp_path: Path) -> None:
    filled(engine, "redisvl_caches").close()
    own, shop = Import(format=ImportFormat.REDISVL), Import(format=ImportFormat.REDISVL, prefix="shop:")
    with pytest.raises(NeedsEdit) as refused:
        imported(engine, tmp_path, own, shop)
    assert refused.value.fault.reason is FaultReason.SEVERAL_TENANTS
    assert len(rows(imported(engine, tmp_path, own, shop, tenants=("default", "acme")))) == 3
    assert len(rows(imported(engine, tmp_path, own, shop, tenants=("acme",)))) == 1


def test_keys_of_other_types_and_broken_values_are_counted(engine: QueryEngine, tmp_path: Path) -> None:
    with filled(engine, "redisvl_caches") as client:
        client.sadd("llmcache:set", "member")
        client.hset("llmcache:pickle", mapping={"prompt": b"\x80\x04N.", "response": "x", "prompt_vector": b"", "inserted_at": "1.5"})
        client.hset("llmcache:late", mapping={"prompt": "Late?", "response": "Yes.", "prompt_vector": b"", "inserted_at": "never"})
        client.set(b"llmcache:\xff", "no key of a library's")
    (counts,) = imported(engine, tmp_path, Import(format=ImportFormat.REDISVL)).imported
    assert (counts.imported, skipped(counts)) == (3, {"another layout": 2, "not harvestable: pickled": 1})
