"""Text completions: by OpenAI's client on a real engine; routing, cache and record with an engine in the hand."""

from typing import Any

import openai
import pytest
import redis

from lightserver import BASE, HeldEngine, LightServer, light_server
from recorded import recorded
from serverprocess import ServerProcess
from tinymodel import CONTEXT, TINY
from tuneloop_server.completions.protocol import DEFAULT_TOKENS
from tuneloop_server.engine.base import BARE, Message

PROMPT = "Once upon a time 🎉"
FIXED: dict[str, Any] = {"model": TINY, "prompt": PROMPT, "temperature": 0}


def test_a_prompt_is_read_as_it_is(tiny_server: ServerProcess) -> None:
    """The tiny model has a token for each byte; a template would add some."""
    answer = tiny_server.client().completions.create(**FIXED, max_tokens=5)
    assert (answer.object, answer.model, answer.choices[0].finish_reason) == ("text_completion", TINY, "length")
    assert answer.id.startswith("cmpl-")
    assert answer.usage
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (len(PROMPT.encode()), 5)


def test_the_default_limit_is_openais(tiny_server: ServerProcess) -> None:
    answer = tiny_server.client().completions.create(**FIXED)
    assert answer.usage
    assert answer.usage.completion_tokens == DEFAULT_TOKENS


def test_a_list_of_one_prompt_is_that_prompt(tiny_server: ServerProcess) -> None:
    create = tiny_server.client().completions.create
    assert create(**FIXED | {"prompt": [PROMPT]}).choices == create(**FIXED).choices


def test_a_stream_adds_up_to_the_answer(tiny_server: ServerProcess) -> None:
    create = tiny_server.client().completions.create
    chunks = list(create(**FIXED, seed=3, stream=True, stream_options={"include_usage": True}))
    whole = create(**FIXED, seed=3)
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole.choices[0].text
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == whole.choices[0].finish_reason
    assert [chunk.usage for chunk in chunks] == [None] * (len(chunks) - 1) + [whole.usage]
    assert all("usage" in chunk.model_fields_set for chunk in chunks), "null, not left out"
    assert {chunk.object for chunk in chunks} == {"text_completion"}


@pytest.mark.parametrize(
    ("change", "want_code", "want_param"),
    [
        pytest.param({"prompt": ""}, None, "prompt", id="no prompt"),
        pytest.param({"prompt": ["a", "b"]}, None, "prompt", id="two prompts"),
        pytest.param({"prompt": [1, 2]}, None, "prompt", id="token ids"),
        pytest.param({"prompt": []}, None, "prompt", id="a list of none"),
        pytest.param({"prompt": "x" * CONTEXT}, "context_length_exceeded", "prompt", id="a prompt over the context"),
        pytest.param({"echo": True}, None, "echo", id="echo"),
        pytest.param({"suffix": "end"}, None, "suffix", id="suffix"),
        pytest.param({"best_of": 3}, None, "best_of", id="best of three"),
        pytest.param({"logprobs": 0}, None, "logprobs", id="logprobs of the chosen tokens"),
        pytest.param({"n": 2}, None, "n", id="two answers"),
        pytest.param({"max_tokens": 10**9}, None, "max_tokens", id="a billion tokens"),
    ],
)
def test_what_we_cannot_do_is_refused(
    tiny_server: ServerProcess, change: dict[str, Any], want_code: str | None, want_param: str | None
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        tiny_server.client().completions.create(**FIXED | change)
    assert (refused.value.code, refused.value.param) == (want_code, want_param)


async def complete(server: LightServer, **fields: Any) -> Any:
    return await server.http.post("/v1/completions", json={"model": BASE, "prompt": PROMPT, "temperature": 0} | fields)


async def test_it_shares_chats_routing_and_cache_but_no_entry_of_it(redis_url: str) -> None:
    async with light_server(redis_url, HeldEngine()) as server:
        answers = [await complete(server), await complete(server)]
        assert [answer.headers["X-Cache"] for answer in answers] == ["miss", "hit-exact"]
        assert answers[0].json()["choices"] == answers[1].json()["choices"] == [
            {"index": 0, "text": "One two three.", "logprobs": None, "finish_reason": "stop"}
        ]  # fmt: skip
        assert (await server.ask(PROMPT, max_tokens=DEFAULT_TOKENS)).headers["X-Cache"] == "miss", "a conversation is not a prompt"
        assert server.engine.generations[0].request.messages == (Message(BARE, PROMPT),)
        assert (await complete(server, model="support")).headers["X-Adapter"] == "base"
        assert (await complete(server, model="gpt-4")).status_code == 404
        assert "data: [DONE]" in (await complete(server, stream=True)).text


async def test_it_is_not_recorded(redis_url: str) -> None:
    """Beside a conversation that is."""
    async with light_server(redis_url, HeldEngine()) as server:
        assert "X-Interaction-Id" not in (await complete(server)).headers
        await server.ask("Where is my order?")
    with redis.Redis.from_url(redis_url) as client:
        (record,) = recorded(client)
    assert record.messages[-1]["content"] == "Where is my order?"
