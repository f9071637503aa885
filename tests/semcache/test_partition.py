"""What shares a partition, and what takes no part."""

from dataclasses import replace

import pytest

from asking import LOOKUP, ask
from tuneloop_server.cache.tiers import Lookup
from tuneloop_server.engine.base import BARE, Message, Sampling
from tuneloop_server.semcache.partition import LONGEST_HISTORY, LONGEST_QUESTION, partition


def of(lookup: Lookup, embedder: str = "e", template: str = "t") -> str | None:
    return partition(lookup, embedder=embedder, template=template)


def with_history(*texts: str) -> Lookup:
    return replace(LOOKUP, messages=(*(Message("system", text) for text in texts), LOOKUP.messages[-1]))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(LOOKUP, tenant="bigco"), id="tenant"),
        pytest.param(replace(LOOKUP, base_digest="sha256:B"), id="base"),
        pytest.param(replace(LOOKUP, adapter_digest=""), id="no adapter"),
        pytest.param(replace(LOOKUP, sampling=Sampling(max_tokens=65, temperature=0)), id="length"),
        pytest.param(replace(LOOKUP, sampling=Sampling(max_tokens=64, temperature=0, stop=("x",))), id="stop"),
        pytest.param(with_history("be brief"), id="system prompt"),
    ],
)
def test_another_request_is_another_partition(other: Lookup) -> None:
    assert of(other)
    assert of(other) != of(LOOKUP)


def test_another_embedder_or_template_is_another_partition() -> None:
    assert len({of(LOOKUP), of(LOOKUP, embedder="f"), of(LOOKUP, template="u")}) == 3


def test_the_question_alone_may_differ() -> None:
    assert of(ask("Where is my order?")) == of(LOOKUP)


@pytest.mark.parametrize(
    "lookup",
    [
        pytest.param(replace(LOOKUP, sampling=Sampling(max_tokens=64, temperature=0.7)), id="sampled"),
        pytest.param(replace(LOOKUP, sampling=Sampling(max_tokens=64, temperature=0.7, seed=1)), id="sampled with a seed"),
        pytest.param(ask("  "), id="empty"),
        pytest.param(replace(LOOKUP, messages=(Message("user", "Hi"), Message("assistant", "Hello"))), id="not the user last"),
        pytest.param(replace(LOOKUP, messages=(Message(BARE, "How do I reset my password?"),)), id="a bare prompt"),
        pytest.param(with_history(*"abcd"), id="long history"),
        pytest.param(ask("x" * (LONGEST_QUESTION + 1)), id="long question"),
    ],
)
def test_some_requests_take_no_part(lookup: Lookup) -> None:
    assert of(lookup) is None


def test_the_longest_history_takes_part() -> None:
    assert of(with_history(*"abc"[:LONGEST_HISTORY]))
