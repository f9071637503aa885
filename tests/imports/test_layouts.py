"""What the libraries themselves wrote (fixtures/, by make_fixtures.py), as the layouts read it."""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from imports.make_fixtures import WRITERS, packages
from imports.stored import fixture, stored
from tuneloop_contracts.jobs import ImportFormat
from tuneloop_trainer.imports.formats import FORMATS
from tuneloop_trainer.imports.layout import (
    NO_ANSWER,
    NO_PROMPT,
    NOT_TEXT,
    OTHER_LAYOUT,
    PICKLED,
    TOO_LARGE,
    Exchange,
    HistoryMessage,
    RedisValue,
)
from tuneloop_trainer.imports.sessions import LONGEST, exchanges_of

GPT, LANG, LITE, VL, ROUTER = (
    ImportFormat.GPTCACHE, ImportFormat.LANGCHAIN_REDIS, ImportFormat.LITELLM, ImportFormat.REDISVL, ImportFormat.SEMANTIC_ROUTER,
)  # fmt: skip


def parsed(format: ImportFormat, name: str) -> tuple[list[Exchange], list[str]]:
    """Exchanges, and the reason of every key that gave none."""
    results = [FORMATS[format].parse(one) for one in stored(name)]
    found = [one for result in results if not isinstance(result, str) for one in result]
    exchanges = [one for one in found if isinstance(one, Exchange)]
    histories = [exchange for _, exchange in exchanges_of(one for one in found if isinstance(one, HistoryMessage))]
    return exchanges + histories, sorted(result for result in results if isinstance(result, str))


def dialogue(exchange: Exchange) -> list[tuple[object, object]]:
    return [*((message["role"], message["content"]) for message in exchange.messages), ("=", exchange.answer)]


def test_there_is_a_fixture_of_every_writer_made_by_the_versions_that_it_pins() -> None:
    assert len(WRITERS) == 6
    assert {name: fixture(name)["packages"] for name in WRITERS} == {name: packages(file) for name, file in WRITERS.items()}
    assert all(one.count("==") == 1 for file in WRITERS.values() for one in packages(file))


def test_redisvl() -> None:
    exchanges, reasons = parsed(VL, "redisvl_caches")
    assert [dialogue(exchange) for exchange in exchanges] == [
        [("user", "How do I get a refund?"), ("=", "Open the order and press Refund.")],
        [("user", "Onde está minha fatura?"), ("=", "No menu Conta, em Faturas.")],
        [("user", "Where is my parcel?"), ("=", "It is on its way.")],
        [("system", "You help customers."), ("user", "My password does not work."), ("=", "Reset it on the sign-in page.")],
        [
            ("system", "You help customers."), ("user", "My password does not work."), ("assistant", "Reset it on the sign-in page."),
            ("user", "And if the mail never comes?"), ("=", "Look into the spam folder."),
        ],
    ]  # fmt: skip
    assert {exchange.session for exchange in exchanges[3:]} == {"helpdesk:s:1"}
    assert (exchanges[2].tenant, exchanges[2].user, exchanges[0].tenant, exchanges[0].user) == ("acme", "ana", "", "")
    assert all(exchange.at and 1795543800 < exchange.at < 1795543900 for exchange in exchanges)
    assert reasons == [OTHER_LAYOUT], "the embeddings cache holds no answers"


def test_langchain_redis() -> None:
    exchanges, reasons = parsed(LANG, "langchain_redis_caches")
    assert sorted(dialogue(exchange) for exchange in exchanges if isinstance(exchange.messages[-1]["content"], str)) == [
        [("system", "You are brief."), ("user", "What is a thread?"), ("=", "A flow of control.")],
        [("system", "You help."), ("user", "How do I install it?"), ("=", "With the package manager.")],
        [("user", "Complete: the sky is"), ("=", "blue.")],
    ]
    (parts,) = (exchange for exchange in exchanges if not isinstance(exchange.messages[-1]["content"], str))
    assert parts.messages[0]["content"] == [{"type": "text", "text": "What is a "}, {"type": "text", "text": "process?"}]
    assert parts.answer == "A running program."
    assert all(exchange.at for exchange in exchanges)
    assert reasons == [NO_PROMPT], "the exact cache; and the call of a tool is no answer, but part of its history"


def test_langchain_community() -> None:
    exchanges, reasons = parsed(LANG, "langchain_community_caches")
    assert [dialogue(exchange) for exchange in exchanges] == [
        [("user", "Is a contract binding?"), ("=", "Once both have signed.")],
        [("user", "Who signs first?"), ("=", "The seller.")],
        [("user", "Who signs first?"), ("assistant", "The seller."), ("user", "And then?"), ("=", "The buyer.")],
    ]
    assert reasons == [NO_PROMPT]


def test_gptcache() -> None:
    exchanges, reasons = parsed(GPT, "gptcache_store")
    assert [dialogue(exchange) for exchange in exchanges] == [[("user", "Where do I find the log?"), ("=", "In /var/log.")]]
    assert exchanges[0].at == pytest.approx(1795543989.8, abs=0.1)
    assert reasons == sorted(["deleted", NO_ANSWER, *[OTHER_LAYOUT] * 6]), "a picture is no answer; counters and sessions hold none"


def test_litellm() -> None:
    exchanges, reasons = parsed(LITE, "litellm_caches")
    assert [dialogue(exchange) for exchange in exchanges] == [
        [("user", "Be brief. What is a 'patent'?"), ("=", 'A right, or "privilege", of\nthe inventor\'s.')]
    ]
    assert exchanges[0].at
    assert reasons == [NO_PROMPT, NO_PROMPT], "Python's way of writing, and JSON"


def test_semantic_router() -> None:
    exchanges, reasons = parsed(ROUTER, "semantic_router")
    whole, cut = sorted(exchanges, key=lambda exchange: exchange.at or 0)
    assert dialogue(whole) == [("system", "Be kind."), ("user", "Can I return it after a month?"), ("=", "Within two months, yes.")]
    assert (whole.user, whole.at, whole.finish, cut.finish) == ("carla", 1795543901.0, "stop", "length")
    assert reasons == [NO_ANSWER, NO_PROMPT]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("format", ImportFormat)
def test_every_layout_stands_the_keys_of_every_other(format: ImportFormat, name: str) -> None:
    own = {VL: "redisvl_caches", ROUTER: "semantic_router", GPT: "gptcache_store", LITE: "litellm_caches"}
    exchanges, _ = parsed(format, name)
    assert bool(exchanges) == (name == own.get(format) or (format == LANG and name.startswith("langchain")))


class Hostile:
    """Leaves a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def variants(value: bytes) -> Iterator[tuple[ImportFormat, RedisValue]]:
    """Every key of every fixture, with the value in the place of each of its parts."""
    for format, names in {VL: ("redisvl_caches",), LANG: ("langchain_redis_caches", "langchain_community_caches"), GPT: ("gptcache_store",),
                          LITE: ("litellm_caches",), ROUTER: ("semantic_router",)}.items():  # fmt: skip
        for one in (one for name in names for one in stored(name)):
            yield format, RedisValue(one.key, one.kind, value=value)
            yield format, RedisValue(one.key, one.kind, items=(value, *one.items))
            yield from ((format, RedisValue(one.key, one.kind, fields={**one.fields, name: value})) for name in one.fields)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_pickle_is_counted_and_never_run(protocol: int, tmp_path: Path) -> None:
    bomb = pickle.dumps(Hostile(tmp_path / "ran"), protocol)
    results = [FORMATS[format].parse(one) for format, one in variants(bomb)]
    assert not (tmp_path / "ran").exists()
    assert (PICKLED if protocol > 1 else NOT_TEXT) in results
    pickle.loads(bomb)
    assert (tmp_path / "ran").exists(), "the bomb itself works"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"__import__('os').system('false')", id="code"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"{'timestamp': 1.0, 'response': __import__('os')}", id="an expression in Python's way of writing"),
        pytest.param(b"{'timestamp': 1.0, 'response': '\\x'}", id="a broken literal"),
        pytest.param(b'{"timestamp": NaN, "response": 3}', id="wrong types"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b'["\\ud800"]', id="half of a surrogate pair"),
        pytest.param(b"[null]", id="nothing in a list"),
        pytest.param(b"{}", id="an empty object"),
        pytest.param(b'"text"', id="a string"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_no_value_breaks_a_layout(value: bytes) -> None:
    results = [FORMATS[format].parse(one) for format, one in variants(value)]
    assert len(results) > 100
    assert any(isinstance(result, str) for result in results)


def test_what_is_too_large_is_left_alone() -> None:
    cached = next(one for one in stored("redisvl_caches") if one.has("response"))
    large = RedisValue(cached.key, cached.kind, fields={**cached.fields, "response": b"x" * (4 * 2**20 + 1)})
    assert FORMATS[VL].parse(large) == TOO_LARGE


def test_a_history_without_end_keeps_its_newest_messages() -> None:
    said = [HistoryMessage("s", {"role": role, "content": str(n)}, place=n) for n, role in enumerate(["user", "assistant"] * 150)]
    places, exchanges = zip(*exchanges_of(said), strict=True)
    assert len(set(places)) == 150
    assert [len(exchange.messages) for exchange in exchanges[-2:]] == [LONGEST, LONGEST]
    assert exchanges[-1].messages[-1]["content"] == "298"


def test_a_time_of_many_digits_is_none() -> None:
    history = b'{"type": "ai", "session_id": "s", "data": {"content": "Hi."}, "timestamp": 1%s}' % (b"0" * 400)
    imported = FORMATS[LANG].parse(RedisValue("chat:s:1", "ReJSON-RL", value=history))
    assert [one.at for one in imported if isinstance(one, HistoryMessage)] == [None]
