"""What shares an answer and what must not."""

from dataclasses import replace
from typing import Any

import pytest

from tuneloop_server.cache.control import parse_cache_control
from tuneloop_server.cache.key import exact_key, request_digest
from tuneloop_server.chat.parsing import ParsedRequest, RequestParser
from tuneloop_server.chat.protocol import ChatRequest
from tuneloop_server.engine.base import Message, Sampling
from tuneloop_server.errors import BadRequest

MESSAGES = (Message("user", "hello"),)
SAMPLING = Sampling(max_tokens=16, temperature=0)
REQUEST = request_digest(MESSAGES, SAMPLING)
WHO: dict[str, str] = {"base_digest": "sha256:b", "template": "sha256:t", "adapter_digest": "sha256:a", "tenant": "acme"}
KEY = exact_key(REQUEST, **WHO)


@pytest.mark.parametrize(
    "change",
    [
        {"base_digest": "sha256:B"},
        {"template": "sha256:T"},
        {"adapter_digest": "sha256:A"},
        {"adapter_digest": ""},
        {"tenant": "other"},
    ],
)
def test_another_digest_or_tenant_is_another_answer(change: dict[str, str]) -> None:
    assert exact_key(REQUEST, **WHO | change) != KEY


def test_what_follows_on_another_is_not_taken_for_it() -> None:
    one = exact_key(REQUEST, base_digest="a", template="t", adapter_digest="bc", tenant="d")
    assert one != exact_key(REQUEST, base_digest="ab", template="t", adapter_digest="c", tenant="d")


@pytest.mark.parametrize(
    ("messages", "sampling"),
    [
        ((Message("user", "hello "),), SAMPLING),
        ((Message("system", "hello"),), SAMPLING),
        ((Message("system", "be brief"), *MESSAGES), SAMPLING),
        (MESSAGES, replace(SAMPLING, max_tokens=17)),
        (MESSAGES, replace(SAMPLING, stop=("x",))),
        (MESSAGES, replace(SAMPLING, seed=1)),
        (MESSAGES, replace(SAMPLING, top_p=0.5)),
    ],
)
def test_another_request_is_another_answer(messages: tuple[Message, ...], sampling: Sampling) -> None:
    assert request_digest(messages, sampling) != REQUEST


def parsed(**fields: Any) -> ParsedRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]} | fields
    return ParsedRequest.of(ChatRequest.model_validate(body), 9)


def test_streamed_or_not_and_unknown_fields_share() -> None:
    parts = {"role": "user", "content": [{"type": "text", "text": "hello"}]}
    fancy = parsed(model="n", messages=[parts], temperature=0.0, stream=True, user="u", service_tier="auto")
    assert parsed(temperature=0).digest == fancy.digest


OTHERWISE: dict[str, Any] = {
    "messages": [{"role": "user", "content": "hello?"}], "temperature": 0.5, "top_p": 0.5, "max_tokens": 3, "max_completion_tokens": 3,
    "stop": "x", "seed": 1,
}  # fmt: skip
NO_PART_OF_IT = {"model", "n", "stream", "stream_options", "user", "metadata"}
"""Of the name of a model, what it stands for is in the key."""


def test_a_field_that_is_read_changes_the_answer_and_the_key_or_neither() -> None:
    assert ChatRequest.model_fields.keys() == OTHERWISE.keys() | NO_PART_OF_IT
    assert len({parsed().digest, *(parsed(**{name: value}).digest for name, value in OTHERWISE.items())}) == len(OTHERWISE)
    assert parsed(max_tokens=3).digest == parsed(max_completion_tokens=3).digest


@pytest.mark.parametrize(
    ("fields", "control", "want"),
    [
        ({"temperature": 0}, "", True),
        ({"seed": 7}, "", True),
        ({}, "", False),
        ({"temperature": 0.7}, "", False),
        ({"temperature": 0.7}, "max-age=60", True),
        ({"temperature": 0, "messages": [{"role": "user", "content": "x"}, {"role": "user", "content": " \n"}]}, "", False),
    ],
)
def test_only_what_repeats_may_be_cached(fields: dict[str, object], control: str, want: bool) -> None:
    assert parsed(**fields).repeatable(parse_cache_control(control)) is want


@pytest.mark.parametrize(
    ("header", "want"),
    [
        ("", (True, True, False, None)),
        ("no-cache", (False, True, False, None)),
        ("No-Store", (False, False, False, None)),
        ("max-age=60, only-if-cached", (True, True, True, 60)),
        ('max-age="5"', (True, True, False, 5)),
        ("max-age=0", (True, True, False, 0)),
        ("max-age=soon, max-age, no-transform, ,=,private=1", (True, True, False, None)),
    ],
)
def test_cache_control(header: str, want: tuple[object, ...]) -> None:
    control = parse_cache_control(header)
    assert (control.read, control.write, control.only, control.max_age) == want


def test_a_body_is_read_once_and_a_refused_one_each_time() -> None:
    parser = RequestParser(9)
    good = b'{"model": "m", "messages": [{"role": "user", "content": "hello"}]}'
    assert parser.parse(good) is parser.parse(good)
    for _ in range(2):
        with pytest.raises(BadRequest):
            parser.parse(good.replace(b'"hello"', b"7"))
