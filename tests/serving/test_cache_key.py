"""What shares an answer and what must not."""

from dataclasses import replace

import pytest

from tuneloop_server.cache.key import cache_key
from tuneloop_server.chat.protocol import ChatRequest
from tuneloop_server.engine.base import Generation, Message, Sampling

ASKED = Generation((Message("user", "hello"),), Sampling(max_tokens=16, temperature=0), "support-v1-aaaaaaaa-1")
KEY = cache_key(ASKED, base_digest="sha256:b", adapter_digest="sha256:a", tenant="acme")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(cache_key(ASKED, base_digest="sha256:B", adapter_digest="sha256:a", tenant="acme"), id="base"),
        pytest.param(cache_key(ASKED, base_digest="sha256:b", adapter_digest="sha256:A", tenant="acme"), id="adapter"),
        pytest.param(cache_key(ASKED, base_digest="sha256:b", adapter_digest="", tenant="acme"), id="no adapter"),
        pytest.param(cache_key(ASKED, base_digest="sha256:b", adapter_digest="sha256:a", tenant="other"), id="tenant"),
    ],
)
def test_another_digest_or_tenant_is_another_answer(other: str) -> None:
    assert other != KEY


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (Message("user", "hello "),)},
        {"messages": (Message("system", "hello"),)},
        {"messages": (Message("system", "be brief"), Message("user", "hello"))},
        {"sampling": replace(ASKED.sampling, max_tokens=17)},
        {"sampling": replace(ASKED.sampling, stop=("x",))},
        {"sampling": replace(ASKED.sampling, seed=1)},
        {"sampling": replace(ASKED.sampling, top_p=0.5)},
    ],
)
def test_another_request_is_another_answer(change: dict[str, object]) -> None:
    assert cache_key(replace(ASKED, **change), base_digest="sha256:b", adapter_digest="sha256:a", tenant="acme") != KEY  # type: ignore[arg-type]


def test_names_do_not_count() -> None:
    """The same weights under another handle give the same answer; only digests count."""
    renamed = replace(ASKED, adapter="support-v2-bbbbbbbb-7")
    assert cache_key(renamed, base_digest="sha256:b", adapter_digest="sha256:a", tenant="acme") == KEY


def test_streamed_or_not_and_unknown_fields_share() -> None:
    message = {"role": "user", "content": "hello"}
    plain = ChatRequest.model_validate({"model": "m", "messages": [message], "temperature": 0})
    parts = {"role": "user", "content": [{"type": "text", "text": "hello"}]}
    fancy = ChatRequest.model_validate(
        {"model": "n", "messages": [parts], "temperature": 0, "stream": True, "user": "u", "service_tier": "auto"}
    )
    assert (plain.turns(), plain.sampling(9)) == (fancy.turns(), fancy.sampling(9))


@pytest.mark.parametrize(("fields", "want"), [({"temperature": 0}, True), ({"seed": 7}, True), ({}, False), ({"temperature": 0.7}, False)])
def test_only_what_repeats_may_be_cached(fields: dict[str, object], want: bool) -> None:
    request = ChatRequest.model_validate({"model": "m", "messages": [{"role": "user", "content": "x"}]} | fields)
    assert request.sampling(9).deterministic is want
