"""Questions in other words as a client meets them: over real HTTP and a real Redis, with an engine that a test holds in its hand."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis as sync_redis

from lightserver import LightServer, light_server
from recorded import recorded
from redisserver import RedisServer
from tuneloop_contracts.manifest import AdapterManifest, ManifestAdapter, Route
from tuneloop_contracts.pods import AdapterState
from tuneloop_server.adapters.entry import AdapterEntry
from tuneloop_server.cache.template import template_digest
from tuneloop_server.manifest.source import ManifestSnapshot
from tuneloop_server.semcache import shadow
from tuneloop_server.semcache.embed.choose import make_embedder
from waiting import until

QUESTION = "How do I reset my password?"
REWORDED = "Could you tell me how to reset my password?"
SUPPORT = {"X-Domain": "support"}


@pytest.fixture(autouse=True)
def nothing_is_verified_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "SHARE", 0.0)


@asynccontextmanager
async def pod(redis_url: str, **settings: Any) -> AsyncIterator[LightServer]:
    async with light_server(redis_url, semantic_cache_domains=("support",), **settings) as server:
        yield server


async def ask(server: LightServer, text: str, headers: Mapping[str, str] = SUPPORT, **fields: Any) -> httpx.Response:
    return await server.ask(text, headers=dict(headers), **fields)


async def cached(server: LightServer, text: str, headers: Mapping[str, str] = SUPPORT, **fields: Any) -> str:
    return str((await ask(server, text, headers, **fields)).headers["X-Cache"])


def counted(server: LightServer, name: str, **labels: str) -> float:
    return server.parts.metrics.registry.get_sample_value(name, labels) or 0.0


async def rate_down(server: LightServer, answer: httpx.Response) -> httpx.Response:
    return await server.http.post("/v1/feedback", json={"interaction_id": answer.headers["X-Interaction-Id"], "rating": "down"})


async def test_a_question_in_other_words_gets_the_answer_and_is_told_how_like_it_was(redis_url: str) -> None:
    async with pod(redis_url) as server:
        made = await ask(server, QUESTION)
        assert (made.headers["X-Cache"], "X-Cache-Similarity" in made.headers) == ("miss", False)
        hit = await ask(server, REWORDED)
        embedder = make_embedder("static")
        one, other = await embedder.embed([QUESTION, REWORDED])
        assert hit.headers["X-Cache"] == "hit-semantic"
        assert hit.headers["X-Cache-Similarity"] == f"{one @ other:.3f}"
        assert 0 <= int(hit.headers["Age"]) < 60
        assert hit.json()["choices"] == made.json()["choices"]
        assert hit.json()["id"] == hit.headers["X-Interaction-Id"] != made.json()["id"]
        assert len(server.engine.generations) == 1
        assert await cached(server, QUESTION) == "hit-exact", "the same words need no likeness"
        assert counted(server, "tuneloop_cache_total", result="hit-semantic", domain="support") == 1


async def test_a_hit_is_replayed_to_who_streams(redis_url: str) -> None:
    async with pod(redis_url) as server:
        made = await ask(server, QUESTION, stream=True)
        hit = await ask(server, REWORDED, stream=True)
        assert hit.headers["X-Cache"] == "hit-semantic"
        assert {"X-Cache-Similarity", "Age"} <= {name.title() for name in hit.headers}
        assert text_of(hit) == text_of(made) == "One two three."
        assert hit.text.endswith("data: [DONE]\n\n")


def text_of(streamed: httpx.Response) -> str:
    events = [json.loads(line.removeprefix("data: ")) for line in streamed.text.split("\n\n") if line.startswith("data: {")]
    return "".join(event["choices"][0]["delta"].get("content", "") for event in events)


async def test_a_look_alike_is_generated(redis_url: str) -> None:
    async with pod(redis_url) as server:
        await ask(server, "How do I enable the alarm?")
        assert await cached(server, "How do I disable the alarm?") == "miss"
        assert len(server.engine.generations) == 2


async def test_another_tenant_never_gets_it(redis_url: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text('{"key-a": "acme", "key-b": "bigco"}')
    async with pod(redis_url, api_keys_file=keys) as server:
        mine, theirs = (SUPPORT | {"Authorization": f"Bearer key-{name}"} for name in "ab")
        await ask(server, QUESTION, mine)
        assert await cached(server, REWORDED, theirs) == "miss"
        assert await cached(server, "Please tell me how to reset my password.", mine) == "hit-semantic"


@pytest.mark.parametrize("fields", [{"temperature": 0.5, "seed": 1}, {"messages": [{"role": "assistant", "content": REWORDED}]}])
async def test_what_takes_no_part_is_generated(redis_url: str, fields: dict[str, Any]) -> None:
    async with pod(redis_url) as server:
        await ask(server, QUESTION)
        assert await cached(server, REWORDED, **fields) == "miss"


@pytest.mark.parametrize(("domains", "asked"), [(("support",), "legal"), ((), "support")])
async def test_a_domain_that_did_not_opt_in_keeps_nothing(redis_url: str, domains: tuple[str, ...], asked: str) -> None:
    async with light_server(redis_url, semantic_cache_domains=domains) as server:
        await ask(server, QUESTION, {"X-Domain": asked})
        assert await cached(server, REWORDED, {"X-Domain": asked}) == "miss"
    with sync_redis.Redis.from_url(redis_url) as client:
        assert list(client.scan_iter("tuneloop:sem:*")) == []


async def test_a_bare_completion_takes_no_part(redis_url: str) -> None:
    async with pod(redis_url) as server:
        for prompt in (QUESTION, REWORDED):
            body = {"model": "base-model", "prompt": prompt, "temperature": 0}
            answer = await server.http.post("/v1/completions", json=body, headers=SUPPORT)
            assert answer.headers["X-Cache"] == "miss"


@pytest.mark.parametrize("judged", ["what made it", "what came from it"])
async def test_a_thumbs_down_removes_it_in_every_tier_and_pod_and_denies_it(redis_url: str, judged: str) -> None:
    async with pod(redis_url) as server, pod(redis_url) as other:
        made = await ask(server, QUESTION)
        hit = await ask(server, REWORDED)
        assert await cached(server, REWORDED) == "hit-semantic", "the exact tier keeps nothing of it under its own key"
        await until(lambda: counted(other, "tuneloop_semantic_entries") == 1)
        assert (await rate_down(server, made if judged == "what made it" else hit)).status_code == 200
        await until(lambda: counted(other, "tuneloop_semantic_entries") == 0)
        only_cached = SUPPORT | {"Cache-Control": "only-if-cached"}
        for each in (server, other):
            assert (await ask(each, REWORDED, only_cached)).status_code == 504
            assert await cached(each, QUESTION) == "miss"
            assert (await ask(each, QUESTION, only_cached)).status_code == 504, "and it is not kept again"
            assert (await ask(each, REWORDED, only_cached)).status_code == 504


async def test_cache_control_holds_for_likeness_too(redis_url: str) -> None:
    async with pod(redis_url) as server:
        await ask(server, QUESTION, SUPPORT | {"Cache-Control": "no-store"})
        assert (await ask(server, REWORDED, SUPPORT | {"Cache-Control": "only-if-cached"})).status_code == 504
        await ask(server, QUESTION)
        assert await cached(server, REWORDED, SUPPORT | {"Cache-Control": "only-if-cached"}) == "hit-semantic"
        assert await cached(server, REWORDED, SUPPORT | {"Cache-Control": "max-age=60"}) == "hit-semantic"
        assert await cached(server, REWORDED, SUPPORT | {"Cache-Control": "no-cache"}) == "bypass"


async def test_new_weights_never_give_the_answers_of_the_old_ones(redis_url: str) -> None:
    async with pod(redis_url) as server:
        for number in (1, 2):
            serve(server, number)
            assert (await ask(server, QUESTION, {}, model="support")).headers["X-Adapter"] == f"support-v{number}-0000000{number}"
            assert await cached(server, REWORDED, {}, model="support") == "hit-semantic"
        assert len(server.engine.generations) == 2


def serve(server: LightServer, number: int) -> None:
    """A revision of `support` as if it had been loaded."""
    digest = f"sha256:{number:08x}"
    adapter = ManifestAdapter(name=f"support-v{number}-{number:08x}", domain="support", uri="file:///none", digest=digest)
    server.parts.adapters._entries[:] = [AdapterEntry(adapter, f"{adapter.name}-1", AdapterState.LOADED)]
    routes = {"support": (Route(to=adapter.name),)}
    manifest = AdapterManifest(base_model="base-model", adapters=(adapter,), routes=routes, salt="pepper")
    server.parts.current._snapshot = ManifestSnapshot(manifest, str(number))


async def test_a_hit_is_verified_by_the_weights_that_answered(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "SHARE", 1.0)
    async with pod(redis_url) as server:
        serve(server, 1)
        await ask(server, QUESTION, {}, model="support")
        server.engine.pieces = ["Nobody ", "can."]
        assert await cached(server, REWORDED, {}, model="support") == "hit-semantic"
        await until(lambda: counted(server, "tuneloop_semantic_verdicts_total", domain="support", verdict="wrong") == 1)
        again = server.engine.generations[1].request
        assert (again.messages[-1].content, again.adapter) == (REWORDED, "support-v1-00000001-1")
        await until(lambda: counted(server, "tuneloop_semantic_entries") == 0)
        assert not server.parts.adapters._entries[0].users


async def test_a_hit_whose_weights_are_gone_is_not_judged(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "SHARE", 1.0)
    async with pod(redis_url) as server:
        serve(server, 1)
        await ask(server, QUESTION, {}, model="support")
        server.engine.go.clear()
        busy = server.engine.generations
        busy[0].over = False
        assert await cached(server, REWORDED, {}, model="support") == "hit-semantic"
        serve(server, 2)
        busy[0].over = True
        await until(lambda: counted(server, "tuneloop_semantic_unverified_total") == 1)
        assert len(busy) == 1


async def test_a_hit_is_recorded_with_its_own_question(redis_url: str) -> None:
    """What users say of it must not be held against the question that its answer was made for."""
    async with pod(redis_url) as server:
        await ask(server, QUESTION)
        await ask(server, REWORDED)
        await until(lambda: counted(server, "tuneloop_records_written_total") == 2)
    with sync_redis.Redis.from_url(redis_url) as client:
        last = recorded(client)[-1]
    assert (last.source, last.messages[0]["content"], last.origin) == ("cache", REWORDED, "")


async def test_answers_go_on_without_redis() -> None:
    redis = RedisServer().start()
    try:
        async with pod(redis.url) as server:
            await ask(server, QUESTION)
            redis.stop()
            answers = [await ask(server, text) for text in (QUESTION, REWORDED, REWORDED)]
            assert [(answer.status_code, answer.headers["X-Cache"]) for answer in answers] == [(200, "miss")] * 3
            assert counted(server, "tuneloop_semantic_lookups_total", domain="support", result="error") >= 3
    finally:
        redis.stop()


def test_another_chat_template_is_another_question(tmp_path: Path) -> None:
    before = template_digest(tmp_path)
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        (tmp_path / name).write_text("{}")
        assert template_digest(tmp_path) != before
        before = template_digest(tmp_path)


async def test_without_a_cache_there_is_no_likeness_either(redis_url: str) -> None:
    async with pod("") as without, pod(redis_url, cache_ttl=0) as switched_off:
        for server in (without, switched_off):
            await ask(server, QUESTION)
            assert await cached(server, REWORDED) == "bypass"


async def test_a_domain_that_the_target_has_not_is_told(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with light_server(redis_url, semantic_cache_domains=("support", "suport")):
        await until(lambda: "SEMANTIC_CACHE_DOMAINS" in caplog.text)
    (said,) = [record.getMessage() for record in caplog.records if record.name == "tuneloop_server.parts"]
    assert said == "SEMANTIC_CACHE_DOMAINS: this target has no domain suport; it has technical, support, legal, general"
