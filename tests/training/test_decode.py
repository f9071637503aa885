"""Entries as Redis sends them, to records: the quick way says what the contract says, and neither takes what is not ours."""

import pytest

from training.traffic import record
from tuneloop_contracts.record import Feedback, Record
from tuneloop_trainer.harvest.decode import Flat, feedback_of, record_of

ANSWER = record(1, tagged=False, messages=({"role": "user", "content": [{"type": "text", "text": "Olá 🙂"}]},), answer="Sim \u2028\x00.")
HIT = record(2, source="cache", origin="i-1", messages=(), answer="")


def flat(fields: dict[str, str]) -> list[bytes]:
    return [text.encode() for field in fields.items() for text in field]


@pytest.mark.parametrize("sent", [ANSWER, HIT, record(3)], ids=["an answer", "a cache hit", "tagged"])
def test_comes_back_as_it_was_written_in_any_order_of_fields(sent: Record) -> None:
    fields = sent.to_fields()
    assert record_of(flat(fields)) == record_of(flat(dict(reversed(fields.items())))) == Record.from_fields(fields) == sent


def changed(**changes: str) -> Flat:
    return flat(ANSWER.to_fields() | changes)


@pytest.mark.parametrize(
    "foreign",
    [
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
