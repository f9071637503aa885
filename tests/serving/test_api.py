"""OpenAI's API over real HTTP, by OpenAI's own client."""

from pathlib import Path

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from builders_adapters import digest_of_base
from serverprocess import BASE, ServerProcess, revision

pytestmark = pytest.mark.model

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello to the new colleague."}]


def test_an_answer(server: ServerProcess) -> None:
    made = server.client().chat.completions.create(model=BASE, messages=HELLO, temperature=0, max_tokens=6)
    assert (made.object, made.model, made.choices[0].finish_reason) == ("chat.completion", BASE, "length")
    assert made.choices[0].message.content
    assert made.usage
    assert made.usage.completion_tokens == 6
    assert made.usage.total_tokens == made.usage.prompt_tokens + 6


def test_a_stream_says_the_same_as_the_answer_in_one_piece(server: ServerProcess) -> None:
    client = server.client()
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Conte até três, com emoji 🎉."}]
    stream = client.chat.completions.create(
        model=BASE, messages=messages, temperature=0, max_tokens=16, stream=True, stream_options={"include_usage": True},
        extra_headers={"X-Record": "no"},
    )  # fmt: skip
    chunks = list(stream)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    whole = server.ask(BASE, "Conte até três, com emoji 🎉.", key="key-b", max_tokens=16)  # another tenant: around the cache
    assert whole.headers["X-Cache"] == "miss"
    assert streamed == whole.json()["choices"][0]["message"]["content"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] in ("stop", "length")
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == whole.json()["usage"]["completion_tokens"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert len(chunks) > 4, "piece by piece, not at once"


def test_the_raw_stream_ends_with_done(server: ServerProcess) -> None:
    lines = server.ask(BASE, "hi", stream=True, max_tokens=2).text.strip().split("\n\n")
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    assert "usage" not in lines[-2]


def test_stop_sequences_end_an_answer_before_them(server: ServerProcess) -> None:
    full = server.ask(BASE, "List three fruits.", max_tokens=12).json()["choices"][0]["message"]["content"]
    stop = full[len(full) // 2 :][:4]
    cut = server.ask(BASE, "List three fruits.", max_tokens=12, stop=[stop]).json()["choices"][0]
    assert cut["finish_reason"] == "stop"
    assert cut["message"]["content"] == full[: full.index(stop)]


def test_a_seed_repeats_and_heat_does_not(server: ServerProcess) -> None:
    def say(tenant: str, **fields: object) -> str:
        answer = server.ask(BASE, "Invent a name for a cat.", key=tenant, temperature=1.5, max_tokens=12, **fields)
        assert answer.headers["X-Cache"] == ("miss" if "seed" in fields else "bypass")
        return str(answer.json()["choices"][0]["message"]["content"])

    assert say("key-a", seed=7) == say("key-b", seed=7)
    assert len({say("key-a") for _ in range(4)}) > 1


@pytest.mark.parametrize(
    ("change", "want_status", "want_code", "want_param"),
    [
        pytest.param({"model": "gpt-4"}, 404, "model_not_found", "model", id="unknown model"),
        pytest.param({"messages": []}, 400, None, "messages", id="no messages"),
        pytest.param({"messages": [{"role": "robot", "content": "x"}]}, 400, None, "messages.0.role", id="unknown role"),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            400, None, "messages.0.content", id="an image",
        ),
        pytest.param({"temperature": 3}, 400, None, "temperature", id="too hot"),
        pytest.param({"top_p": 0}, 400, None, "top_p", id="top_p zero"),
        pytest.param({"n": 2}, 400, None, "n", id="two choices"),
        pytest.param({"max_tokens": 0}, 400, None, "max_tokens", id="no tokens"),
        pytest.param({"tools": [{"type": "function"}]}, 400, None, "tools", id="tools"),
        pytest.param({"response_format": {"type": "json_object"}}, 400, None, "response_format", id="JSON mode"),
        pytest.param({"tool_choice": "required"}, 400, None, "tool_choice", id="a tool without tools"),
        pytest.param({"modalities": ["text", "audio"]}, 400, None, "modalities", id="sound"),
        pytest.param({"top_k": 5}, 400, None, "top_k", id="vLLM's top_k"),
        pytest.param({"repetition_penalty": 1.2}, 400, None, "repetition_penalty", id="vLLM's penalty"),
        pytest.param(
            {"messages": [{"role": "assistant", "content": "x", "tool_calls": [{"id": "1"}]}]}, 400, None, "messages.0", id="a tool's call"
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": "word " * 9000}]}, 400, "context_length_exceeded", "messages", id="too long"
        ),
        pytest.param({"messages": [{"role": "user", "content": "x" * 2**20}]}, 413, "request_too_large", None, id="over a megabyte"),
    ],
)  # fmt: skip
def test_bad_requests(
    server: ServerProcess, change: dict[str, object], want_status: int, want_code: str | None, want_param: str | None
) -> None:
    good = {"model": BASE, "messages": [{"role": "user", "content": "x"}]}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=good | change, headers={"Authorization": "Bearer key-a"}, timeout=30)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (want_status, want_code, want_param)
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_broken_json(server: ServerProcess, body: bytes) -> None:
    answer = httpx.post(f"{server.url}/v1/chat/completions", content=body, headers={"Authorization": "Bearer key-a"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_body_without_length_is_limited_too(server: ServerProcess) -> None:
    parts = (b"x" * 65536 for _ in range(32))
    answer = httpx.post(f"{server.url}/v1/chat/completions", content=parts, headers={"Authorization": "Bearer key-a"})
    assert answer.status_code == 413


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "key-a"}, {"Authorization": "Bearer"}])
@pytest.mark.parametrize("path", ["chat/completions", "feedback", "models", "models/auto"])
def test_without_a_key_nothing(server: ServerProcess, headers: dict[str, str], path: str) -> None:
    method = "GET" if path.startswith("models") else "POST"
    answer = httpx.request(method, f"{server.url}/v1/{path}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_unknown_fields_are_ignored(server: ServerProcess) -> None:
    harmless = {"logit_bias": {}, "tools": None, "tool_choice": "auto", "modalities": ["text"], "response_format": {"type": "text"}}
    of_vllm = {"top_k": -1, "repetition_penalty": 1.0, "min_p": 0, "best_of": 1}
    ignored = {"service_tier": "auto", "parallel_tool_calls": False, "store": True}
    assert server.ask(BASE, "hi", max_tokens=1, **harmless | of_vllm | ignored).status_code == 200


def test_models(server: ServerProcess, adapters: Path) -> None:
    support = revision(adapters, "support")
    server.serve(support, routes={"support": support.name})
    listed = {model.id: model for model in server.client().models.list().data}
    assert list(listed) == [BASE, "auto", "technical", "support", "legal", "general", support.name]
    assert (listed["support"].root, listed["legal"].root) == (support.name, BASE)  # type: ignore[attr-defined]
    assert (listed[support.name].parent, listed[support.name].root) == (BASE, support.digest)  # type: ignore[attr-defined]
    assert server.client().models.retrieve(support.name).id == support.name
    with pytest.raises(openai.NotFoundError):
        server.client().models.retrieve("gpt-4")


def test_each_name_is_answered_by_what_it_names(server: ServerProcess, adapters: Path) -> None:
    support, technical = revision(adapters, "support", seed=1), revision(adapters, "technical", seed=2)
    server.serve(support, technical, routes={"support": support.name, "technical": technical.name})
    refund, python = "I want a refund for my order", "How do I import a Python module?"

    def answered_by(model: str, text: str, **headers: str) -> str:
        answer = server.ask(model, text, headers=headers, max_tokens=1)
        assert answer.status_code == 200, answer.text
        return answer.headers["X-Adapter"]

    assert answered_by(BASE, refund) == "base"
    assert answered_by("auto", refund) == support.name
    assert answered_by("auto", python) == technical.name
    assert answered_by("auto", refund, **{"X-Domain": "technical"}) == technical.name
    assert answered_by("support", python) == support.name
    assert answered_by("legal", python) == "base"
    assert answered_by(technical.name, refund) == technical.name
    server.serve(support, technical, routes={"support": support.name}, base_name_by_content=True)
    assert answered_by(BASE, refund) == support.name


def test_status_names_the_base(server: ServerProcess) -> None:
    report = server.report()
    assert (report.base_model, report.base_digest) == (BASE, digest_of_base())


def test_probes_and_metrics(server: ServerProcess) -> None:
    server.ask(BASE, "count me", max_tokens=3)
    assert httpx.get(f"{server.url}/healthz").text == "ok"
    assert httpx.get(f"{server.url}/readyz").text == "ready"
    assert server.metric("vllm:generation_tokens_total") >= 3
    assert server.metric("vllm:num_requests_running") == 0
    assert server.metric('tuneloop_requests_total{adapter="base",outcome="length"}') >= 1
    assert server.metric('tuneloop_redis_up{role="cache"}') == 1
    assert "count me" not in httpx.get(f"{server.url}/metrics").text + server.log()
