"""OpenAI's own client, sync and async, on everything that we offer; and its exceptions, by which programs decide what to do."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
import pytest

from serverprocess import ServerProcess
from tinymodel import CONTEXT, TINY

HELLO: Any = [{"role": "user", "content": "Olá 🎉 \u0000 你好"}]
FIXED: dict[str, Any] = {"model": TINY, "messages": HELLO, "temperature": 0}


@pytest.fixture
async def client(tiny_server: ServerProcess) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{tiny_server.url}/v1", api_key="key-a", max_retries=0) as client:
        yield client


async def test_async_answers_are_the_sync_ones(tiny_server: ServerProcess, client: openai.AsyncOpenAI) -> None:
    sync = tiny_server.client().chat.completions.create(**FIXED, max_tokens=12)
    answer = await client.chat.completions.create(**FIXED, max_tokens=12)
    assert answer.choices == sync.choices
    assert answer.usage == sync.usage


async def test_a_stream_with_usage_adds_up_to_the_answer(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(**FIXED, max_tokens=12)
    stream = await client.chat.completions.create(**FIXED, max_tokens=12, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == answer.choices[0].message.content
    assert [chunk.usage for chunk in chunks] == [None] * (len(chunks) - 1) + [answer.usage]
    assert all("usage" in chunk.model_fields_set for chunk in chunks), "null, not left out"
    assert [chunk.choices for chunk in chunks][-1] == [], "the usage comes last, and alone"


async def test_the_sdks_stream_helper_reads_ours(client: openai.AsyncOpenAI) -> None:
    """It takes an answer for good that ended by itself, so this one is stopped."""
    whole = (await client.chat.completions.create(**FIXED, max_tokens=12)).choices[0].message.content or ""
    async with client.chat.completions.stream(**FIXED, max_tokens=12, stop=whole[5]) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == whole[: whole.index(whole[5])]


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_both_names_of_the_limit(tiny_server: ServerProcess, limit: str) -> None:
    answer = tiny_server.client().chat.completions.create(**FIXED, **{limit: 3})
    assert answer.usage
    assert answer.usage.completion_tokens == 3
    assert answer.choices[0].finish_reason == "length"


def test_one_stop_sequence_or_four(tiny_server: ServerProcess) -> None:
    create = tiny_server.client().chat.completions.create
    full = create(**FIXED, max_tokens=16).choices[0].message.content or ""
    letter = next(letter for letter in full if letter != "\ufffd")
    for stop in (letter, ["never-said", letter], ["a" * 500, "b", "c", letter]):
        cut = create(**FIXED, max_tokens=16, stop=stop).choices[0]
        assert (cut.message.content, cut.finish_reason) == (full[: min(full.index(one) for one in stop if one in full)], "stop")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"n": 1}, id="one choice"),
        pytest.param({"response_format": {"type": "text"}}, id="text"),
        pytest.param({"stop": None, "seed": None, "user": "u", "top_p": 1}, id="nulls"),
        pytest.param({"frequency_penalty": 0, "presence_penalty": 0, "logit_bias": {}, "logprobs": False}, id="nothing asked for"),
        pytest.param({"store": True, "metadata": {"a": "b"}, "service_tier": "auto", "parallel_tool_calls": False}, id="not ours to do"),
        pytest.param({"messages": [{"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}, *HELLO]}, id="parts"),
    ],
)
def test_what_asks_for_nothing_special_is_answered(tiny_server: ServerProcess, fields: dict[str, Any]) -> None:
    assert tiny_server.client().chat.completions.create(**FIXED | {"max_tokens": 1} | fields).choices


Ask = Callable[[openai.OpenAI], object]


def chat(**fields: Any) -> Ask:
    return lambda client: client.chat.completions.create(**FIXED | fields)


@pytest.mark.parametrize(
    ("ask", "want", "want_code"),
    [
        pytest.param(chat(model="gpt-4"), openai.NotFoundError, "model_not_found", id="no such model"),
        pytest.param(lambda client: client.models.retrieve("gpt-4"), openai.NotFoundError, "model_not_found", id="nor there"),
        pytest.param(
            chat(messages=[{"role": "user", "content": "x" * CONTEXT}]), openai.BadRequestError, "context_length_exceeded", id="too long"
        ),
        pytest.param(chat(n=2), openai.BadRequestError, None, id="two choices"),
        pytest.param(chat(response_format={"type": "json_object"}), openai.BadRequestError, None, id="JSON mode"),
        pytest.param(chat(tools=[{"type": "function", "function": {"name": "f"}}]), openai.BadRequestError, None, id="tools"),
        pytest.param(chat(logprobs=True), openai.BadRequestError, None, id="logprobs"),
        pytest.param(chat(extra_body={"continue_final_message": True}), openai.BadRequestError, None, id="to go on from the last message"),
        pytest.param(chat(frequency_penalty=0.5), openai.BadRequestError, None, id="a penalty"),
        pytest.param(chat(logit_bias={"7": -100}), openai.BadRequestError, None, id="a bias"),
        pytest.param(chat(extra_headers={"X-Domain": "nowhere"}), openai.BadRequestError, "unknown_domain", id="an unknown domain"),
        pytest.param(chat(extra_headers={"Authorization": "Bearer no"}), openai.AuthenticationError, "invalid_api_key", id="a wrong key"),
        pytest.param(lambda client: client.moderations.create(input="x"), openai.NotFoundError, None, id="no such route"),
        pytest.param(lambda client: client.post("/models", cast_to=object), openai.APIStatusError, None, id="a wrong method"),
    ],
)  # fmt: skip
def test_errors_are_the_sdks_exceptions(
    tiny_server: ServerProcess, ask: Ask, want: type[openai.APIStatusError], want_code: str | None
) -> None:
    with pytest.raises(want) as refused:
        ask(tiny_server.client())
    assert refused.value.code == want_code
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["message"]


def test_models(tiny_server: ServerProcess) -> None:
    client = tiny_server.client()
    listed = client.models.list().data
    assert TINY in {model.id for model in listed}
    assert [client.models.retrieve(model.id) for model in listed] == listed


def test_headers_say_how_it_was_answered(tiny_server: ServerProcess) -> None:
    raw = tiny_server.client().chat.completions.with_raw_response.create(**FIXED, max_tokens=1)
    assert raw.headers["X-Cache"] in ("miss", "hit-exact")
    assert raw.headers["X-Adapter"] == "base"
    assert raw.parse().id == raw.headers["X-Interaction-Id"]
