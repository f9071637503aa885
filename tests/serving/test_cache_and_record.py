"""What is kept of an interaction: the answer for a day, the record for training; over real HTTP and a real Redis."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from recorded import recorded
from serverprocess import BASE, TARGET, ServerProcess, revision
from tuneloop_contracts.pods import RecordedReport, RedisState
from tuneloop_contracts.record import Feedback, Record, meta_key

pytestmark = pytest.mark.model

QUESTION = "How do I get a refund?"


def entries(server: ServerProcess, kind: str) -> list[dict[str, str]]:
    with redis.Redis.from_url(server.environment["REDIS_URL"], decode_responses=True) as client:
        streams = list(client.scan_iter(f"tuneloop:{{{TARGET}:0}}:{kind}:*"))
        return [fields for stream in streams for _, fields in client.xrange(stream)]  # type: ignore[union-attr]


def records(server: ServerProcess, count: int) -> list[Record]:
    """The first `count`, as soon as they are there, by what was asked for."""
    server.wait_until(lambda: len(entries(server, "rec")) >= count, f"{count} records")
    with redis.Redis.from_url(server.environment["REDIS_URL"]) as client:
        return recorded(client)


def repeats(server: ServerProcess) -> dict[str, int]:
    """How often each interaction was given again."""
    with redis.Redis.from_url(server.environment["REDIS_URL"], decode_responses=True) as client:
        hashes: list[Any] = [client.hgetall(key) for key in client.scan_iter(f"tuneloop:{{{TARGET}:0}}:*:hits")]
    return {interaction: int(times) for counts in hashes for interaction, times in counts.items()}


def rate(server: ServerProcess, interaction: str, key: str = "key-a", **fields: Any) -> httpx.Response:
    body = {"interaction_id": interaction, "rating": "up"} | fields
    return httpx.post(f"{server.url}/v1/feedback", json=body, headers={"Authorization": f"Bearer {key}"})


def test_a_repeated_greedy_request_is_a_hit_streamed_or_not(server: ServerProcess) -> None:
    first = server.ask(BASE, QUESTION)
    again = server.ask(BASE, QUESTION)
    streamed = server.ask(BASE, QUESTION, stream=True, stream_options={"include_usage": True})
    assert [answer.headers["X-Cache"] for answer in (first, again, streamed)] == ["miss", "hit-exact", "hit-exact"]
    assert again.json()["choices"] == first.json()["choices"]
    assert again.json()["usage"] == first.json()["usage"]
    assert first.json()["choices"][0]["message"]["content"] in "".join(pieces(streamed))
    assert streamed.text.rstrip().endswith("data: [DONE]")
    assert int(again.headers["Age"]) >= 0
    assert "Age" not in first.headers
    assert len({answer.headers["X-Interaction-Id"] for answer in (first, again, streamed)}) == 3


def pieces(streamed: httpx.Response) -> list[str]:
    import json

    events = [json.loads(line.removeprefix("data: ")) for line in streamed.text.split("\n\n") if line.startswith("data: {")]
    return [event["choices"][0]["delta"].get("content", "") for event in events if event["choices"]]


def test_who_and_what_never_share_an_answer(server: ServerProcess, adapters: Path) -> None:
    support = revision(adapters, "support")
    server.serve(support, routes={"support": support.name})

    def cached(model: str, text: str = QUESTION, **options: Any) -> str:
        return str(server.ask(model, text, **options).headers["X-Cache"])

    assert cached(BASE) == "miss"
    assert cached("support") == "miss", "another adapter"
    assert cached(BASE, key="key-b") == "miss", "another tenant"
    assert cached(BASE, max_tokens=9) == "miss", "another length"
    assert cached(BASE, temperature=0.5) == "bypass"
    assert cached(BASE, temperature=0.5, seed=1) == "miss"
    assert cached(BASE, temperature=0.5, seed=1) == "hit-exact"
    assert cached(support.name) == "hit-exact", "the same weights by another name"
    assert cached("legal") == "hit-exact", "a domain without a route is the base"


def test_an_answer_broken_off_is_not_kept(server: ServerProcess) -> None:
    stream = server.client().chat.completions.create(
        model=BASE, messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=40, stream=True
    )
    next(stream)
    stream.close()
    server.wait_until(lambda: server.metric("vllm:num_requests_running") == 0, "the row is free")
    assert server.ask(BASE, QUESTION, max_tokens=40).headers["X-Cache"] == "miss"
    assert [record.source for record in records(server, 1)] == ["gen"]


def test_the_record_of_answers_and_of_hits(server: ServerProcess, adapters: Path) -> None:
    support = revision(adapters, "support")
    server.serve(support, routes={"support": support.name})
    first = server.ask("auto", QUESTION, user="mary@example.com", metadata={"conversation_id": "talk-1"})
    second = server.ask("support", QUESTION)
    (generated,) = records(server, 1)
    assert generated == Record(
        id=first.headers["X-Interaction-Id"], conversation="talk-1", user=generated.user, tenant="acme", model="auto",
        revision=support.name, domain="support", tagged=False, source="gen", finish="length", milliseconds=generated.milliseconds,
        prompt_tokens=first.json()["usage"]["prompt_tokens"], completion_tokens=8,
        messages=({"role": "user", "content": QUESTION},), answer=first.json()["choices"][0]["message"]["content"],
    )  # fmt: skip
    assert generated.user
    assert second.headers["X-Cache"] == "hit-exact"
    server.wait_until(lambda: repeats(server) == {generated.id: 1}, "the repetition is counted")
    stored = str(entries(server, "rec"))
    assert "mary" not in stored
    assert "key-a" not in stored


def test_what_is_said_of_a_hit_is_said_of_the_answer_that_it_repeats(server: ServerProcess) -> None:
    first, hit = server.ask(BASE, QUESTION), server.ask(BASE, QUESTION)
    assert hit.headers["X-Cache"] == "hit-exact"
    assert hit.headers["X-Interaction-Id"] == hit.json()["id"] != first.json()["id"]
    assert rate(server, hit.json()["id"], key="key-b").status_code == 404
    assert rate(server, hit.json()["id"], rating="down").status_code == 200
    server.wait_until(lambda: entries(server, "fb"), "the judgement")
    assert entries(server, "fb")[0]["id"] == first.headers["X-Interaction-Id"]
    assert server.ask(BASE, QUESTION).headers["X-Cache"] == "miss", "it has left the cache"


def test_the_same_user_is_the_same_hash_and_another_tenants_namesake_is_not(server: ServerProcess) -> None:
    for key in ("key-a", "key-a", "key-b"):
        server.ask(BASE, QUESTION, user="mary", key=key, temperature=1)
    hashes = [record.user for record in records(server, 3)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_conversation_is_known_by_header_by_metadata_or_by_its_beginning(server: ServerProcess) -> None:
    server.ask(BASE, QUESTION, headers={"X-Conversation-Id": "talk-9"}, temperature=1)
    server.ask(BASE, QUESTION, temperature=1)
    turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "Sure."}, {"role": "user", "content": "When?"}]
    server.ask(BASE, "", messages=turns, temperature=1)
    named, begun, followed = [record.conversation for record in records(server, 3)]
    assert named == "talk-9"
    assert begun == followed != named


def test_opting_out(server: ServerProcess) -> None:
    silent = server.ask(BASE, QUESTION, headers={"X-Record": "no"})
    spoken = server.ask(BASE, "another question")
    assert "X-Interaction-Id" not in silent.headers
    assert [record.id for record in records(server, 1)] == [spoken.headers["X-Interaction-Id"]]
    assert rate(server, silent.json()["id"]).status_code == 404


def test_feedback_reaches_the_record(server: ServerProcess) -> None:
    answer = server.ask(BASE, QUESTION)
    said = rate(server, answer.headers["X-Interaction-Id"], rating="down", correction="Write to us.", comment="too vague", user="mary")
    assert (said.status_code, said.json()["rating"]) == (200, "down")
    silent = {"correction": None, "comment": None, "user": None}
    assert rate(server, answer.json()["id"], **silent).status_code == 200, "the completion's own id does as well"
    server.wait_until(lambda: len(entries(server, "fb")) == 2, "two judgements")
    first = Feedback.from_fields(entries(server, "fb")[0])
    assert first == Feedback(answer.headers["X-Interaction-Id"], "down", "Write to us.", first.by, "too vague")
    assert first.by not in ("", "mary")


@pytest.mark.parametrize("kind", ["another tenant's", "invented", "tampered", "empty", "not ASCII"])
def test_feedback_on_what_is_not_yours_is_not_found(server: ServerProcess, kind: str) -> None:
    mine = server.ask(BASE, QUESTION).headers["X-Interaction-Id"]
    swapped = mine[:10] + ("0" if mine[10] != "0" else "1") + mine[11:]
    ids = {
        "another tenant's": mine,
        "invented": "int-0123456789ab0000-0123456789abcdef",
        "tampered": swapped,
        "empty": "",
        "not ASCII": "int-é-é",
    }
    answer = rate(server, ids[kind], key="key-b" if kind == "another tenant's" else "key-a")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "interaction_not_found")


@pytest.mark.parametrize(
    "fields", [{"rating": "meh"}, {"correction": "x" * 40_000}, {"comment": "x" * 3000}, {"interaction_id": None}, {"rating": None}]
)
def test_bad_feedback(server: ServerProcess, fields: dict[str, Any]) -> None:
    mine = server.ask(BASE, QUESTION).headers["X-Interaction-Id"]
    assert rate(server, mine, **fields).status_code == 400


def test_streams_expire_and_examples_are_counted(server: ServerProcess) -> None:
    server.ask("support", QUESTION)
    server.ask("support", QUESTION)
    records(server, 1)
    server.wait_until(lambda: repeats(server), "the repetition is counted")
    with redis.Redis.from_url(server.environment["REDIS_URL"], decode_responses=True) as client:
        assert client.hgetall(meta_key(TARGET)) == {"shards": "1", "schema": "2", "n:support": "1"}
        (stream,) = client.scan_iter("tuneloop:{*:rec:*")
        (counts,) = client.scan_iter("tuneloop:{*:hits")
        for key in (stream, counts):
            assert 34 * 86400 < client.ttl(key) <= 36 * 86400  # type: ignore[operator]
        (answer,) = client.scan_iter("tuneloop:cache:*")
        assert 86000 < client.ttl(answer) <= 86400  # type: ignore[operator]
    status = httpx.get(f"http://127.0.0.1:{server.status_port}/status/recorded").json()
    assert RecordedReport.model_validate(status) == RecordedReport(recorded={"support": 1}, redis=RedisState.OK)
