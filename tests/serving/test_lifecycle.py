"""Start with a bad adapter, a Redis that dies under traffic, and the end by SIGTERM: on a server process of its own."""

import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import redis

from bad_adapters import BAD
from recorded import recorded
from serverprocess import BASE, DEADLINE, ServerProcess, named, revision
from tinymodel import TINY, make_tiny_model
from tuneloop_contracts.pods import AdapterState, RedisState

pytestmark = pytest.mark.model

QUESTION = "How long is the warranty?"


def test_redis_killed_under_traffic(server: ServerProcess) -> None:
    """Every answer comes; afterwards the cache and the record are there again."""
    assert server.redis
    answers: list[httpx.Response] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(server.ask(BASE, QUESTION, max_tokens=2))

    assert server.ask(BASE, QUESTION, max_tokens=2).headers["X-Cache"] == "miss"
    client = threading.Thread(target=ask)
    client.start()
    try:
        server.wait_until(lambda: len(answers) >= 3, "answers from the cache")
        server.redis.stop()
        before = len(answers)
        server.wait_until(lambda: len(answers) >= before + 5, "answers without Redis")
        server.wait_until(lambda: server.report().redis is RedisState.UNREACHABLE, "the operator hears of it")
        assert server.is_ready()
        server.redis.start()
        server.wait_until(lambda: answers[-1].headers["X-Cache"] == "hit-exact", "the cache is back")
        server.wait_until(lambda: server.report().redis is RedisState.OK, "so is the record")
    finally:
        stop.set()
        client.join()
    assert {answer.status_code for answer in answers} == {200}
    assert [answer.headers["X-Cache"] for answer in answers[:3]] == ["hit-exact"] * 3
    assert "miss" in {answer.headers["X-Cache"] for answer in answers[3:]}
    assert server.metric("tuneloop_cache_errors_total") >= 1


def test_from_a_start_with_a_bad_adapter_to_an_end_in_good_order(tmp_path: Path, redis_url: str) -> None:
    good, spoiled = revision(tmp_path, "support", 1), BAD[0].make(tmp_path / "bad")
    bad = named(tmp_path / "bad", "support", 2, spoiled)
    patient = {"MAX_NEW_TOKENS": "64", "DRAIN_SECONDS": str(int(DEADLINE))}  # a busy machine makes an answer long
    with ServerProcess(tmp_path, REDIS_URL=redis_url, **patient) as server:
        server.apply(good, bad, routes={"support": bad.name})
        server.start()  # which waits until it is ready
        assert {entry.name: entry.state for entry in server.report().adapters} == {
            good.name: AdapterState.LOADED, bad.name: AdapterState.FAILED,
        }  # fmt: skip
        assert server.ask("support", QUESTION).headers["X-Adapter"] == good.name
        end_while_answering(server)
        assert server.process
        assert server.process.wait(DEADLINE) == 0
        assert "Traceback" not in server.log()
        assert QUESTION not in server.log()
    with redis.Redis.from_url(redis_url) as client:
        assert len(recorded(client)) == 2, "what was answered last is in the record too"


def test_what_runs_when_the_time_is_up_ends_with_an_error_that_can_be_read(tmp_path: Path) -> None:
    tiny = {"MODEL_PATH": str(make_tiny_model(tmp_path / "model")), "MODEL_NAME": TINY, "MAX_NEW_TOKENS": "900"}
    with ServerProcess(tmp_path, DRAIN_SECONDS="0", **tiny) as server, ThreadPoolExecutor(1) as operator:
        server.start()
        assert server.process
        body = {"model": TINY, "messages": [{"role": "user", "content": "hi"}], "stream": True}
        poll = operator.submit(server.report, server.report().revision, 30)  # before the stream: it must be there when the end comes
        with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body, timeout=DEADLINE) as stream:
            events = (line.removeprefix("data: ") for line in stream.iter_lines() if line)
            next(events)
            server.process.send_signal(signal.SIGTERM)
            *_, last = events
        assert poll.result(DEADLINE).base_model == TINY, "the operator's question is answered too"
        assert json.loads(last)["error"]["code"] == "unavailable"
        assert server.process.wait(DEADLINE) == 0
        assert "ERROR" not in server.log()


def end_while_answering(server: ServerProcess) -> None:
    """SIGTERM in mid-stream: the stream comes to its end, new requests are refused, readiness is gone."""
    assert server.process
    stream = server.client().chat.completions.create(
        model="support", messages=[{"role": "user", "content": QUESTION}], temperature=0.4, max_tokens=64, stream=True, seed=11,
    )  # fmt: skip
    next(stream)
    server.process.send_signal(signal.SIGTERM)
    server.wait_until(lambda: httpx.get(f"{server.url}/readyz").text == "draining", "it is not ready any more")
    refused = server.ask(BASE, QUESTION)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
    assert refused.headers["Retry-After"]
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    assert [chunk.choices[0].finish_reason for chunk in stream][-1] in ("stop", "length")


@pytest.mark.parametrize(
    ("environment", "want"),
    [
        pytest.param({"MODEL_PATH": ""}, "MODEL_PATH", id="no model named"),
        pytest.param({"CACHE_TTL": "soon"}, "CACHE_TTL", id="a bad setting"),
    ],
)
def test_settings_that_must_be_edited_end_it_at_once(tmp_path: Path, environment: dict[str, str], want: str) -> None:
    with ServerProcess(tmp_path, **environment) as server:
        server.start(wait=False)
        assert server.process
        assert server.process.wait(DEADLINE) == 2
        assert want in server.log()
        assert "Traceback" not in server.log()
