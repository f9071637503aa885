"""Pods on a Redis under a sentinel and on a cluster, either of which changes under them: cache, thumbs-down and record go on."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import redis as sync_redis
from redis.cluster import RedisCluster, key_slot

from lightserver import TARGET, LightServer, light_server
from recorded import recorded
from redistopologies import clustered, move_slot, under_sentinel
from tuneloop_contracts.answers import exact_entry, key_of
from tuneloop_contracts.jobs import RedisMode
from tuneloop_contracts.pods import RedisState
from tuneloop_contracts.record import meta_key
from tuneloop_trainer.harvest.connect import connect
from waiting import until

FAILOVER = 120.0
"""Seconds: a sentinel that was not scheduled for two of them trusts nothing it sees for the next thirty, and fails nothing over."""


@asynccontextmanager
async def two_pods(url: str, mode: RedisMode) -> AsyncIterator[tuple[LightServer, LightServer]]:
    settings: dict[str, Any] = {"redis_mode": mode, "semantic_cache_domains": ("support",)}
    async with light_server(url, **settings) as pod, light_server(url, **settings) as other:
        other.parts.current.take(pod.parts.current._snapshot)  # type: ignore[arg-type]
        other.parts._ids._own = pod.parts._ids._own  # as the manifest's salt does in a cluster
        yield pod, other


async def answered_from_memory(pod: LightServer, text: str) -> httpx.Response:
    """A hit, as soon as the pod trusts its own memory with it."""
    answer: httpx.Response | None = None

    async def remembered() -> bool:
        nonlocal answer
        answer = await pod.ask(text)
        return answer.headers["X-Cache"] == "hit-exact" and pod.parts.exact is not None and pod.parts.exact.remembered > 0

    await until(remembered)
    assert answer
    return answer


async def judged_wrong_everywhere(pods: tuple[LightServer, LightServer], text: str) -> None:
    """What one pod is told of an answer, the other knows, though it has it in memory."""
    pod, other = pods
    await answered_from_memory(other, text)
    answer = await answered_from_memory(pod, text)

    async def told() -> bool:  # 503 while Redis changes: the client sends it again
        said = await pod.http.post("/v1/feedback", json={"interaction_id": answer.headers["X-Interaction-Id"], "rating": "down"})
        return said.status_code == 200

    await until(told)
    for each in pods:

        async def gone(each: LightServer = each) -> bool:
            return await each.cached(text) == "miss"

        await until(gone)


def questions_in(client: "sync_redis.Redis") -> list[str]:
    """The questions of all records, in the order of writing; "" for a repetition. One that was written twice, because the reply to the
    first was lost, is one: the harvest takes it so too."""
    questions = {record.id: record.messages[0]["content"] if record.messages else "" for record in recorded(client)}
    return list(questions.values())


def count(client: "sync_redis.Redis") -> int:
    return int(client.hget(meta_key(TARGET), "n:support") or 0)  # type: ignore[arg-type]


async def settles(true: Callable[[], bool]) -> None:
    """While Redis changes it may refuse a reader too."""

    def tried() -> bool:
        try:
            return true()
        except (sync_redis.RedisError, OSError):
            return False

    await until(tried, FAILOVER)


async def test_under_a_sentinel_pods_outlive_their_master(tmp_path: Path) -> None:
    with under_sentinel(tmp_path) as (url, master), connect(url, RedisMode.SENTINEL) as client:
        async with two_pods(url, RedisMode.SENTINEL) as pods:
            await answered_from_memory(pods[0], "Where is my order?")
            await settles(lambda: questions_in(client) == ["Where is my order?"])
            assert client.wait(1, 5000) == 1
            master.stop()
            assert (await pods[0].ask("Is my refund late?")).status_code == 200, "nobody waits for Redis"
            await settles(lambda: questions_in(client) == ["Where is my order?", "Is my refund late?"])
            await judged_wrong_everywhere(pods, "Where is my order?")
            assert (await pods[1].ask("Where is my order?")).status_code == 200
            await until(lambda: pods[0].parts.health.state is RedisState.OK)


async def test_on_a_cluster_pods_go_on_while_slots_move(tmp_path: Path) -> None:
    with clustered(tmp_path) as nodes, connect(nodes[1].url, RedisMode.CLUSTER) as client:
        async with two_pods(nodes[0].url, RedisMode.CLUSTER) as pods:
            texts = [f"Where is my order {n}?" for n in range(6)]  # on several nodes
            answers = [await answered_from_memory(pods[0], text) for text in texts]
            await settles(lambda: sorted(questions_in(client)) == texts)
            entries = [exact_entry(key_of(answer.headers["X-Interaction-Id"])) for answer in answers]
            assert isinstance(client, RedisCluster)
            assert len({client.get_node_from_key(entry).name for entry in entries}) > 1
            stream = next(iter(client.scan_iter(match=f"tuneloop:{{{TARGET}:0}}:rec:*"))).decode()
            for key in (stream, meta_key(TARGET), entries[0]):
                move_slot(nodes, key_slot(key.encode()))
            await pods[0].ask("Is my refund late?")
            await settles(lambda: sorted(questions_in(client)) == ["Is my refund late?", *texts])
            await settles(lambda: count(client) == 7)
            for text in texts[:2]:
                await judged_wrong_everywhere(pods, text)


async def test_an_entry_of_the_semantic_cache_is_found_on_a_cluster(tmp_path: Path) -> None:
    with clustered(tmp_path) as nodes:
        async with two_pods(nodes[0].url, RedisMode.CLUSTER) as (pod, other):
            asked = {"headers": {"X-Domain": "support"}}
            made = await pod.ask("How do I return an order?", **asked)
            assert made.headers["X-Cache"] == "miss"
            for each in (pod, other):

                async def found(each: LightServer = each) -> bool:
                    return await each.cached("How do I return orders?", **asked) == "hit-semantic"

                await until(found)
            wrong = await other.ask("How do I return orders?", **asked)
            said = await other.http.post("/v1/feedback", json={"interaction_id": wrong.headers["X-Interaction-Id"], "rating": "down"})
            assert said.status_code == 200
            pod.engine.pieces = other.engine.pieces = ["Otherwise."]
            assert await pod.cached("How do I return orders?", **asked) == "miss"
