"""Entries as Redis sends them, to records: in both forms, and none that is not ours."""

import json

import pytest

from training.traffic import by_hand, record
from tuneloop_contracts.record import COMPACT, Feedback, Record
from tuneloop_trainer.harvest.decode import Flat, StreamEntry, feedback_of

ANSWER = record(1, tagged=False, messages=({"role": "user", "content": [{"type": "text", "text": "Olá 🙂"}]},), answer="Sim \u2028\x00.")
HIT = record(2, source="cache", origin="i-1", messages=(), answer="")


def record_of(flat: Flat) -> Record | None:
    return StreamEntry(b"1-0", flat).record


def flat(fields: dict[str, str]) -> list[bytes]:
    return [text.encode() for field in fields.items() for text in field]


@pytest.mark.parametrize("sent", [ANSWER, HIT, record(3)], ids=["an answer", "a cache hit", "tagged"])
def test_comes_back_as_it_was_written(sent: Record) -> None:
    assert record_of(flat(sent.to_fields())) == sent
    fields = by_hand(sent)
    assert record_of(flat(fields)) == record_of(flat(dict(reversed(fields.items())))) == sent


def test_by_hand_some_fields_may_be_missing() -> None:
    fields = by_hand(ANSWER._replace(tagged=False))
    assert record_of(flat({name: text for name, text in fields.items() if name not in ("v", "tag")})) == ANSWER
    assert record_of(flat({name: text for name, text in fields.items() if name != "tenant"})) is None


def test_what_comes_last_may_be_missing() -> None:
    values = [*ANSWER]
    assert record_of(compact(values[:-1])) == ANSWER
    assert record_of(compact(values[:-3])) == ANSWER._replace(messages=(), answer="")
    assert record_of(compact(values[:-4])) is None


def compact(values: list[object]) -> Flat:
    return flat({COMPACT: json.dumps(values, ensure_ascii=False)})


def with_value(place: str, value: object) -> Flat:
    return compact([*ANSWER._replace(**{place: value})])


def changed(**changes: str) -> Flat:
    return flat(by_hand(ANSWER) | changes)


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param([COMPACT.encode(), b"["], id="compact, no JSON"),
        pytest.param([COMPACT.encode(), b"{}"], id="compact, no array"),
        pytest.param(compact([*ANSWER, "more"]), id="compact, too long"),
        pytest.param(with_value("messages", {"role": "user"}), id="compact, no list"),
        pytest.param(with_value("messages", ["hello"]), id="compact, no messages"),
        pytest.param(with_value("milliseconds", "soon"), id="compact, no number"),
        pytest.param(with_value("tagged", "0"), id="compact, neither true nor false"),
        pytest.param([COMPACT.encode(), b"[" * 100_000], id="compact, deep"),
        pytest.param([COMPACT.encode(), compact([*ANSWER])[1].replace(b"Sim", b"\xff\xfe")], id="compact, not UTF-8"),
        pytest.param([COMPACT.encode(), compact([*ANSWER])[1].replace(b"Sim", b"\\ud800")], id="compact, half a character"),
        pytest.param([], id="nothing"),
        pytest.param([b"hello", b"world"], id="other fields"),
        pytest.param(changed(msgs="["), id="no JSON"),
        pytest.param(changed(msgs='{"role": "user"}'), id="no list"),
        pytest.param(changed(msgs='["hello"]'), id="no messages"),
        pytest.param(changed(msgs='[{"role": ' + "[" * 100_000), id="deep"),
        pytest.param(changed(msgs='[{"role": "user", "content": "\\ud800"}]'), id="half a character"),
        pytest.param(changed(ms="soon"), id="no number"),
        pytest.param([*changed()[:-1], b"\xff\xfe"], id="not UTF-8"),
        pytest.param([*changed(), b"more", b"\xff"], id="not UTF-8 in another field"),
    ],
)
def test_what_is_not_ours_is_none(foreign: Flat) -> None:
    assert record_of(foreign) is None


def test_feedback_comes_back_and_what_is_none_does_not() -> None:
    said = Feedback("i-1", "down", "Não.", "u-1", "wrong")
    assert feedback_of(flat(said.to_fields())) == said
    assert feedback_of([b"id", b"i-1"]) is None
    assert feedback_of([b"id", b"\xff", b"rating", b"up"]) is None
