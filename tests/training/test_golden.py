"""The golden set of a domain: read, frozen once, and never learned."""

import json
from pathlib import Path

import pytest

from training.lessons import lesson
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.stores import Store
from tuneloop_trainer.curate.golden import Golden
from tuneloop_trainer.curate.similarity import question_of
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.golden import MOST_ROWS, freeze_golden, golden_store, read_golden
from tuneloop_trainer.rows import Message, Row

ASK: Message = {"role": "user", "content": "Where is the refund for the order that I sent back last week?"}
SAY: Message = {"role": "assistant", "content": "On its way."}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return golden_store(Store(f"file://{tmp_path}"), "chat/chat-llm", "support")


def write(store: Store, *lines: object) -> None:
    file = Path(store.location)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))


def test_where_it_is(store: Store, tmp_path: Path) -> None:
    assert store.location == f"{tmp_path}/golden/chat/chat-llm/support.jsonl"
    assert read_golden(store) == ()


def test_a_users_own_needs_only_prompt_and_completion(store: Store) -> None:
    write(store, {"prompt": [ASK], "completion": [SAY]}, "", {"prompt": [ASK], "completion": [SAY, ASK, SAY], "learned": [0, 2]})
    one, other = read_golden(store)
    assert one == Row("golden-1", "support", "golden-1", (ASK,), (SAY,))
    assert (other.id, other.learned) == ("golden-3", (0, 2))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        pytest.param("{", "is not JSON", id="no JSON"),
        pytest.param([1], "is not an object", id="no object"),
        pytest.param({"prompt": "Hi", "completion": [SAY]}, "prompt must be a list", id="a text for a prompt"),
        pytest.param({"prompt": [ASK]}, "completion must be a list", id="no answer"),
        pytest.param({"prompt": [ASK], "completion": []}, "completion must be a list", id="an empty answer"),
        pytest.param({"prompt": [{"role": "tool", "content": "3"}], "completion": [SAY]}, "prompt must be a list", id="a tool's"),
        pytest.param({"prompt": [ASK], "completion": [{"role": "assistant"}]}, "completion must be a list", id="no content"),
        pytest.param({"prompt": [ASK, SAY], "completion": [SAY]}, "prompt must end with", id="not the user last"),
        pytest.param({"prompt": [ASK], "completion": [SAY, ASK]}, "learned must be", id="ends with a question"),
        pytest.param({"prompt": [ASK], "completion": [SAY], "learned": [1]}, "learned must be", id="a place that is none"),
        pytest.param({"prompt": [ASK], "completion": [SAY], "learned": []}, "learned must be", id="nothing to judge"),
        pytest.param({"prompt": [ASK], "completion": [SAY], "learned": [True]}, "learned must be", id="no number"),
    ],
)
def test_a_bad_line_is_named(store: Store, line: object, what: str) -> None:
    write(store, {"prompt": [ASK], "completion": [SAY]}, line)
    with pytest.raises(NeedsEdit) as refused:
        read_golden(store)
    assert refused.value.fault.reason is FaultReason.GOLDEN_SET_INVALID
    assert f"chat/chat-llm/support.jsonl, line 2 {what}" in refused.value.fault.message
    assert "refund" not in refused.value.fault.message


def test_it_is_frozen_once_and_a_users_own_is_left_alone(store: Store) -> None:
    rows, others = lesson("support", "First.")[0], lesson("support", "Second.")[0]
    freeze_golden(store, [])
    assert read_golden(store) == ()
    freeze_golden(store, rows)
    frozen = read_golden(store)
    assert sorted(frozen, key=lambda row: row.id) == sorted(rows, key=lambda row: row.id)
    freeze_golden(store, others)
    assert read_golden(store) == frozen


def test_of_many_rows_it_takes_the_same_few_whatever_their_order(store: Store, tmp_path: Path) -> None:
    rows = lesson("support", "Yes.", train=300)[0]
    freeze_golden(store, rows)
    other = golden_store(Store(f"file://{tmp_path}"), "chat/other", "support")
    freeze_golden(other, reversed(rows))
    assert read_golden(store) == read_golden(other)
    assert len(read_golden(store)) == MOST_ROWS


def test_a_text_may_hold_what_python_takes_for_the_end_of_a_line(store: Store) -> None:
    row = Row("g", "support", "g", ({**ASK, "content": "One\u2028two\x85three?"},), (SAY,))
    freeze_golden(store, [row])
    assert read_golden(store) == (row,)


@pytest.mark.parametrize(
    ("messages", "held"),
    [
        pytest.param((ASK,), True, id="the question"),
        pytest.param(({**ASK, "content": ASK["content"].upper()},), True, id="in capitals"),
        pytest.param(({**ASK, "content": ASK["content"] + " Please."},), True, id="with a word more"),
        pytest.param(({"role": "system", "content": "Be brief."}, ASK), True, id="under another system prompt"),
        pytest.param((ASK, SAY, ASK), False, id="after something else"),
        pytest.param(({"role": "user", "content": "Who are you?"},), False, id="another question"),
    ],
)
def test_what_a_golden_set_holds(messages: tuple[Message, ...], held: bool) -> None:
    golden = Golden([Row("g", "support", "g", (ASK,), (SAY,))])
    assert golden.holders(question_of(messages)) == ({"support"} if held else set())
    assert Golden().holders(question_of(messages)) == set()
