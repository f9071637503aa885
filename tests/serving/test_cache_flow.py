"""The cache as a client and a second pod meet it: over real HTTP and a real Redis, with an engine that waits until it is told to go on."""

import asyncio
import json
from functools import partial
from typing import Any

import httpx
import pytest
import redis as sync_redis
from fastapi import FastAPI
from starlette.types import Message

from lightserver import BASE, DEADLINE, HeldAnswer, HeldEngine, LightServer, light_server
from tuneloop_server.engine.base import Generation
from tuneloop_server.errors import ApiError, BadRequest, GenerationFailed, TryLater
from tuneloop_server.lifecycle import DrainMiddleware, Lifecycle
from waiting import until

QUESTION = "Where is my order?"


async def rate(pod: LightServer, answer: httpx.Response, rating: str = "down") -> httpx.Response:
    return await pod.http.post("/v1/feedback", json={"interaction_id": answer.headers["X-Interaction-Id"], "rating": rating})


async def warm(pod: LightServer, **options: Any) -> None:
    """Until the pod answers from its own memory: then Redis is asked no more."""

    async def remembered() -> bool:
        await pod.ask(**options)
        return not nothing_in_memory(pod)

    await until(remembered)


async def test_a_hit_says_the_same_with_an_identity_of_its_own(redis_url: str) -> None:
    async with light_server(redis_url) as pod:
        first, again = await pod.ask(), await pod.ask()
        assert (first.headers["X-Cache"], again.headers["X-Cache"]) == ("miss", "hit-exact")
        one, two = first.json(), again.json()
        assert one.pop("id") != two.pop("id")
        assert one.pop("created") <= two.pop("created")
        assert one == two
        assert two["choices"][0]["message"]["content"] == "One two three."
        assert len(pod.engine.generations) == 1


async def test_streamed_and_whole_share_an_entry_both_ways(redis_url: str) -> None:
    async with light_server(redis_url) as pod:
        streamed = await pod.ask("a", stream=True)
        whole = await pod.ask("a")
        assert (streamed.headers["X-Cache"], whole.headers["X-Cache"]) == ("miss", "hit-exact")
        replayed = await pod.ask("a", stream=True, stream_options={"include_usage": True})
        assert replayed.headers["X-Cache"] == "hit-exact"
        for each in (streamed, replayed):
            assert (each.headers["Content-Type"], each.headers["X-Accel-Buffering"]) == ("text/event-stream; charset=utf-8", "no")
        assert text_of(replayed) == text_of(streamed) == whole.json()["choices"][0]["message"]["content"]
        *events, done = replayed.text.strip().split("\n\n")
        parsed = [json.loads(event.removeprefix("data: ")) for event in events]
        assert parsed[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert parsed[-2]["choices"][0]["finish_reason"] == "stop"
        assert [event["usage"] for event in parsed] == [None] * (len(parsed) - 1) + [whole.json()["usage"]]
        assert '"usage"' not in streamed.text, "nobody asked for it"
        assert (done, len({event["id"] for event in parsed})) == ("data: [DONE]", 1)


def text_of(streamed: httpx.Response) -> str:
    events = [json.loads(line.removeprefix("data: ")) for line in streamed.text.split("\n\n") if line.startswith("data: {")]
    return "".join(event["choices"][0]["delta"].get("content", "") for event in events if event.get("choices"))


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": False}, {"temperature": "zero"}, {"temperature": -1}, {"n": 2}, {"tools": [{"type": "function"}]}, {"stop": [""]},
        {"response_format": {"type": "json_object"}}, {"logprobs": True}, {"stream": "perhaps"}, {"stream_options": "x"}, {"user": 7},
        {"user": "u" * 600}, {"metadata": []}, {"max_tokens": 1.5}, {"seed": 2**64}, {"model": ""}, {"model": "gpt-4"}, {"messages": []},
        {"messages": [{"role": "robot", "content": QUESTION}]}, {"messages": [{"role": "user", "content": "\ud800"}]},
        {"messages": [{"role": "user", "content": QUESTION}, {"role": "user"}]}, {"messages": {"role": "user", "content": QUESTION}},
    ],
)  # fmt: skip
async def test_what_is_refused_without_a_cache_is_refused_with_a_full_one(redis_url: str, change: dict[str, Any]) -> None:
    """Each differs from a cached request in one thing that the protocol or the router does not take."""
    async with light_server("") as bare, light_server(redis_url) as pod:
        await warm(pod)
        body = {"model": BASE, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0} | change
        raw = json.dumps(body).encode()  # httpx would not send half a surrogate pair
        without, within = [await each.http.post("/v1/chat/completions", content=raw) for each in (bare, pod)]
        assert (within.status_code, "X-Cache" in within.headers) == (without.status_code, "X-Cache" in without.headers)
        if change != {"temperature": False}:  # pydantic reads it as 0
            assert within.status_code in (400, 404)


async def test_the_door_keeps_keys_draining_and_the_books(redis_url: str, tmp_path: Any) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text('{"key-a": "acme", "key-b": "bigco"}')
    async with light_server(redis_url, api_keys_file=keys) as pod:
        mine, theirs = {"Authorization": "Bearer key-a"}, {"Authorization": "Bearer key-b"}
        await warm(pod, headers=mine)
        assert (await pod.ask()).status_code == 401
        assert await pod.cached(headers=theirs) == "miss", "another tenant"
        before = sample(pod, "tuneloop_cache_total", result="hit-exact", domain="support")
        assert await pod.cached(headers=mine) == "hit-exact"
        assert sample(pod, "tuneloop_cache_total", result="hit-exact", domain="support") == before + 1
        assert sample(pod, "tuneloop_request_seconds_count", cache="hit-exact", domain="support") == before + 1
        assert (await pod.ask(headers=mine | {"X-Domain": "astrology"})).status_code == 400
        pod.parts.lifecycle.draining = True
        assert (await pod.ask(headers=mine)).status_code == 503


def sample(pod: LightServer, name: str, **labels: str) -> float:
    return pod.parts.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize("stream", [False, True])
async def test_equal_requests_at_once_generate_once(redis_url: str, stream: bool) -> None:
    async with light_server(redis_url) as pod:
        pod.engine.go.clear()
        asked = [asyncio.create_task(pod.ask(stream=stream)) for _ in range(12)]
        other = asyncio.create_task(pod.ask("Something else?"))
        await until(lambda: subscribers(pod) == 13)
        pod.engine.go.set()
        answers = await asyncio.gather(*asked)
        await other
        assert len(pod.engine.generations) == 2
        said = {text_of(answer) if stream else answer.json()["choices"][0]["message"]["content"] for answer in answers}
        assert said == {"One two three."}
        assert {answer.headers["X-Cache"] for answer in answers} == {"miss"}
        assert len({answer.headers["X-Interaction-Id"] for answer in answers}) == 12


def subscribers(pod: LightServer) -> int:
    return sum(generation._subscribers for generation in pod.parts.chat._generations._by_key.values())


async def test_followers_outlive_the_leader_and_the_last_one_ends_it(redis_url: str) -> None:
    async with light_server(redis_url) as pod:
        pod.engine.go.clear()
        leader = asyncio.create_task(pod.ask())
        await until(lambda: subscribers(pod) == 1)
        followers = [asyncio.create_task(pod.ask(stream=stream)) for stream in (False, True)]
        await until(lambda: subscribers(pod) == 3)
        leader.cancel()
        await until(lambda: subscribers(pod) == 2)
        followers[0].cancel()
        await until(lambda: subscribers(pod) == 1)
        pod.engine.go.set()
        assert text_of(await followers[1]) == "One two three."
        assert [answer.cancelled for answer in pod.engine.generations] == [False]

        pod.engine.go.clear()
        alone = asyncio.create_task(pod.ask("Nobody waits for this."))
        await until(lambda: len(pod.engine.generations) == 2)
        alone.cancel()
        await until(lambda: pod.engine.generations[1].cancelled)
        pod.engine.go.set()
        assert await pod.cached("Nobody waits for this.") == "miss"


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        pytest.param(TryLater("full", retry_after=2), 1, id="told to come back"),
        pytest.param(BadRequest("too long"), 1, id="refused"),
        pytest.param(GenerationFailed("broken"), 2, id="broken twice"),
        pytest.param(ValueError("a fault"), 2, id="unforeseen twice"),
    ],
)
async def test_an_error_is_everybodys_and_nobodys_answer_later(redis_url: str, error: Exception, tries: int) -> None:
    async with light_server(redis_url, HeldEngine(pieces=["One", error])) as pod:
        answers = await asked_at_once(pod, 4)
        assert {answer.status_code for answer in answers} == {error.status if isinstance(error, ApiError) else 500}
        assert len(pod.engine.generations) == tries
        pod.engine.pieces = ["Better."]
        assert (await pod.ask()).json()["choices"][0]["message"]["content"] == "Better."


async def asked_at_once(pod: LightServer, count: int, **fields: Any) -> list[httpx.Response]:
    """All on board before the engine says anything."""
    pod.engine.go.clear()
    asked = [asyncio.create_task(pod.ask(**fields)) for _ in range(count)]
    await until(lambda: subscribers(pod) == count)
    pod.engine.go.set()
    return await asyncio.gather(*asked)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_generation_that_breaks_is_made_once_more_for_all_its_followers(redis_url: str, stream: bool) -> None:
    async with light_server(redis_url, HeldEngine(first=[["One", GenerationFailed("broken")]])) as pod:
        answers = await asked_at_once(pod, 12, stream=stream)
        said = {text_of(answer) if stream else answer.json()["choices"][0]["message"]["content"] for answer in answers}
        assert said == {"One two three."}, "what was streamed already is not said again"
        assert len(pod.engine.generations) == 2
        assert await pod.cached() == "hit-exact"
        assert sample(pod, "tuneloop_requests_total", adapter="base", outcome="stop") == 13


async def test_a_generation_that_breaks_is_made_once_more_though_its_leader_has_left(redis_url: str) -> None:
    async with light_server(redis_url, HeldEngine(first=[[GenerationFailed("broken")]])) as pod:
        pod.engine.go.clear()
        leader = asyncio.create_task(pod.ask())
        await until(lambda: subscribers(pod) == 1)
        follower = asyncio.create_task(pod.ask())
        await until(lambda: subscribers(pod) == 2)
        leader.cancel()
        await until(lambda: subscribers(pod) == 1)
        pod.engine.go.set()
        assert (await follower).json()["choices"][0]["message"]["content"] == "One two three."


async def test_nobody_hears_two_beginnings(redis_url: str) -> None:
    async with light_server(redis_url, HeldEngine(first=[["One", GenerationFailed("broken")]], pieces=["Two", " three."])) as pod:
        for answer in await asked_at_once(pod, 3, stream=True):
            assert text_of(answer) in ("", "One")
            assert "generation_failed" in answer.text


async def test_a_stream_that_breaks_by_our_own_fault_ends_with_an_error(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with light_server(redis_url, HeldEngine(pieces=["One", ValueError("somebody's prompt")])) as pod:
        answer = await pod.ask(stream=True)
        assert (text_of(answer), "generation_failed" in answer.text) == ("One", True)
        assert sample(pod, "tuneloop_requests_total", adapter="base", outcome="generation_failed") == 1
    assert "unexpected ValueError" in caplog.text
    assert "prompt" not in caplog.text


async def test_who_asks_alone_is_told_of_a_failure_at_once(redis_url: str) -> None:
    async with light_server(redis_url, HeldEngine(first=[[GenerationFailed("broken")]])) as pod:
        assert (await pod.ask()).status_code == 500
        assert len(pod.engine.generations) == 1


async def test_a_connection_brings_no_more_while_the_pod_goes_away() -> None:
    """Neither one that was being answered nor one that was refused: its client's next try must find another pod."""
    async with light_server("") as pod:
        pod.engine.go.clear()
        running = asyncio.create_task(pod.ask())
        await until(lambda: pod.engine.generations)
        drained = asyncio.create_task(pod.parts.lifecycle.drained(DEADLINE))
        await until(lambda: pod.parts.lifecycle.draining)
        refused = await pod.ask()
        pod.engine.go.set()
        answers = refused, await running
        assert [(answer.status_code, answer.headers["Connection"]) for answer in answers] == [(503, "close"), (200, "close")]
        assert await drained


async def test_what_is_refused_while_the_pod_goes_away_is_read_first() -> None:
    """A connection that is closed while a body is on its way is reset, and the answer lost."""
    body: list[Message] = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.request", "body": b"y"}]
    said: list[Message] = []

    async def receive() -> Message:
        return body.pop(0)

    async def send(message: Message) -> None:
        assert not body
        said.append(message)

    lifecycle = Lifecycle()
    lifecycle.draining = True
    await DrainMiddleware(FastAPI(), lifecycle)({"type": "http", "method": "POST", "path": "/v1/x", "raw_path": b"/v1/x"}, receive, send)
    assert (said[0]["status"], (b"connection", b"close") in said[0]["headers"]) == (503, True)


async def test_cache_control(redis_url: str) -> None:
    async with light_server(redis_url) as pod:

        async def with_control(control: str, text: str = QUESTION, **fields: Any) -> httpx.Response:
            return await pod.ask(text, headers={"Cache-Control": control}, **fields)

        nothing = await with_control("only-if-cached")
        assert (nothing.status_code, nothing.json()["error"]["code"]) == (504, "not_cached")
        assert nothing.headers["X-Should-Retry"] == "false", "or OpenAI's clients ask twice more"
        assert (await with_control("no-store")).headers["X-Cache"] == "bypass"
        assert await pod.cached() == "miss", "no-store wrote nothing"
        assert (await with_control("only-if-cached")).headers["X-Cache"] == "hit-exact"
        pod.engine.pieces = ["Fresh."]
        assert (await with_control("no-cache")).headers["X-Cache"] == "bypass"
        assert (await pod.ask()).json()["choices"][0]["message"]["content"] == "Fresh.", "no-cache wrote"
        hit = await with_control("max-age=60")
        assert (hit.headers["X-Cache"], 0 <= int(hit.headers["Age"]) <= 60) == ("hit-exact", True)

        assert (await pod.ask(temperature=0.7)).headers["X-Cache"] == "bypass"
        assert (await with_control("max-age=60", temperature=0.7)).headers["X-Cache"] == "miss"
        assert (await with_control("max-age=60", temperature=0.7)).headers["X-Cache"] == "hit-exact"


async def test_a_mended_chat_template_makes_new_answers(redis_url: str) -> None:
    """The weights' digest does not cover it."""
    async with light_server(redis_url) as pod:
        await pod.ask()
        assert await pod.cached() == "hit-exact"
        pod.parts.chat._template = "sha256:mended"
        assert await pod.cached() == "miss"


async def test_each_line_of_cache_control_counts(redis_url: str) -> None:
    async with light_server(redis_url) as pod:
        body = {"model": BASE, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0}
        lines = [("Cache-Control", "no-store"), ("Cache-Control", "max-age=60")]
        assert (await pod.http.post("/v1/chat/completions", json=body, headers=lines)).headers["X-Cache"] == "bypass"
        assert await pod.cached() == "miss", "no-store wrote nothing"


async def test_who_asks_for_something_fresh_shares_no_sampled_answer(redis_url: str) -> None:
    """`max-age=0` is what browsers send to reload."""
    async with light_server(redis_url) as pod:
        for _ in range(2):
            answer = await pod.ask(temperature=0.7, headers={"Cache-Control": "max-age=0"})
            assert answer.headers["X-Cache"] == "bypass"


@pytest.mark.parametrize("said", ["no", "False", "0", "OFF", "no, no"])
async def test_who_wants_no_record_need_not_find_our_word_for_it(said: str) -> None:
    async with light_server("") as pod:
        assert "X-Interaction-Id" not in (await pod.ask(headers={"X-Record": said})).headers
        assert "X-Interaction-Id" in (await pod.ask(headers={"X-Record": "yes"})).headers


class SlowToBegin(HeldEngine):
    """As one whose queue is long."""

    async def generate(self, request: Generation) -> HeldAnswer:
        await self.go.wait()
        return await super().generate(request)


@pytest.mark.parametrize("stream", [False, True])
async def test_who_leaves_before_the_first_piece_leaves_the_queue(redis_url: str, stream: bool) -> None:
    async with light_server(redis_url, SlowToBegin()) as pod:
        pod.engine.go.clear()
        asked = asyncio.create_task(pod.ask(stream=stream))
        await until(lambda: subscribers(pod) == 1)
        asked.cancel()
        await until(lambda: subscribers(pod) == 0)
        pod.engine.go.set()
        assert await pod.cached() == "miss"
        assert len(pod.engine.generations) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_that_just_stops_keeps_nobody_waiting(redis_url: str, stream: bool) -> None:
    async with light_server(redis_url, HeldEngine(pieces=[])) as pod:
        answer = await pod.ask(stream=stream)
        assert "generation_failed" in answer.text
        assert answer.status_code == (200 if stream else 500)


async def test_an_answer_older_than_asked_for_is_made_anew(redis_url: str) -> None:
    async with light_server(redis_url) as pod:
        await pod.ask()
        age_all(redis_url, 100)
        assert (await pod.ask(headers={"Cache-Control": "max-age=99"})).headers["X-Cache"] == "miss"
        assert (await pod.ask(headers={"Cache-Control": "max-age=99"})).headers["X-Cache"] == "hit-exact"


def age_all(redis_url: str, seconds: float) -> None:
    with sync_redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter("tuneloop:cache:*"):
            entry = json.loads(client.get(key))  # type: ignore[arg-type]
            client.set(key, json.dumps(entry | {"written": entry["written"] - seconds}))


@pytest.mark.parametrize("judged", ["what made it", "what came from it"])
async def test_a_thumbs_down_removes_the_answer_in_every_pod_and_denies_it(redis_url: str, judged: str) -> None:
    async with light_server(redis_url) as pod, light_server(redis_url) as other:
        other.parts.current.take(pod.parts.current._snapshot)  # type: ignore[arg-type]
        other.parts._ids._own = pod.parts._ids._own  # as the manifest's salt does in a cluster
        made = await pod.ask()
        await warm(pod)
        await warm(other)
        repeated = await other.ask()
        assert repeated.headers["X-Cache"] == "hit-exact"
        assert (await rate(other, repeated, "up")).status_code == 200
        assert await other.cached() == "hit-exact"
        assert (await rate(pod, made if judged == "what made it" else repeated)).status_code == 200
        for each in (pod, other):
            await until(partial(nothing_in_memory, each))
            assert await each.cached() == "miss"
            assert await each.cached() == "miss", "and it is not kept again"
            assert await each.cached(f"Another question, {each.port}?") == "miss"
            assert await each.cached(f"Another question, {each.port}?") == "hit-exact", "nothing else is denied"


def nothing_in_memory(pod: LightServer) -> bool:
    return pod.parts.exact is not None and pod.parts.exact.remembered == 0


async def test_another_pods_fresh_answer_replaces_the_one_in_memory(redis_url: str) -> None:
    async with light_server(redis_url) as pod, light_server(redis_url, HeldEngine(pieces=["Fresh."])) as other:
        await warm(pod)
        await other.ask(headers={"Cache-Control": "no-cache"})

        async def follows() -> bool:
            return bool((await pod.ask()).json()["choices"][0]["message"]["content"] == "Fresh.")

        await until(follows)


async def test_a_flushed_redis_is_an_empty_cache(redis_url: str) -> None:
    async with light_server(redis_url) as pod:
        await warm(pod)
        with sync_redis.Redis.from_url(redis_url) as client:
            client.flushall()

        async def gone() -> bool:
            return await pod.cached() == "miss"

        await until(gone)


async def test_half_a_surrogate_pair_is_refused_before_it_can_stop_the_record(redis_url: str) -> None:
    async with light_server(redis_url) as pod:
        body = {"model": BASE, "messages": [{"role": "user", "content": "x"}], "metadata": {"conversation_id": "\ud800"}}
        assert (await pod.http.post("/v1/chat/completions", content=json.dumps(body).encode())).status_code == 400
        await pod.ask("y")
        await until(lambda: sample(pod, "tuneloop_records_written_total") == 1)
