"""Turns of one conversation become one row, and only those that were really said after one another."""

from dataclasses import replace

import pytest

from training.examples import example
from tuneloop_trainer.curate.example import Example, Judgement
from tuneloop_trainer.curate.thread import threads
from tuneloop_trainer.rows import Row

SAID = (("Hello?", "Hi."), ("Where is it?", "Here."), ("And then?", "There."))


def turn(number: int, system: str = "", said: tuple[tuple[str, str], ...] = SAID, **changes: object) -> Example:
    """The `number`th turn of the talk, as it was recorded: with all that came before it."""
    messages = [{"role": "system", "content": system}] if system else []
    for question, answer in said[:number]:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    answer = messages.pop()["content"]
    return example(number, **{"conversation": "talk", "messages": tuple(messages), "answer": answer, **changes})


def rows(*turns: Example) -> list[Row]:
    return sorted((thread.to_row() for thread in threads(turns)), key=lambda row: row.id)


def test_a_whole_talk_is_one_row() -> None:
    (row,) = rows(turn(2, "Be brief."), turn(1, "Be brief."), turn(3, "Be brief."))
    assert (row.id, row.conversation, row.learned) == ("i-3", "talk", (0, 2, 4))
    assert [message["content"] for message in row.prompt] == ["Be brief.", "Hello?"]
    assert [message["content"] for message in row.completion] == ["Hi.", "Where is it?", "Here.", "And then?", "There."]


def test_each_turn_is_learned_after_what_was_said_before_it() -> None:
    turns = [turn(number) for number in (1, 2, 3)]
    (row,) = rows(*turns)
    assert list(row.turns()) == [(*one.messages, {"role": "assistant", "content": one.answer}) for one in turns]


@pytest.mark.parametrize(
    ("numbers", "prompt", "learned"),
    [
        pytest.param((1, 3), 1, (0, 4), id="a turn that was dropped is read, not learned"),
        pytest.param((2, 3), 3, (0, 2), id="nothing before the first that is learned"),
        pytest.param((3,), 5, (0,), id="only the last"),
        pytest.param((1, 2), 1, (0, 2), id="the last one was dropped"),
    ],
)
def test_turns_that_were_dropped(numbers: tuple[int, ...], prompt: int, learned: tuple[int, ...]) -> None:
    (row,) = rows(*map(turn, numbers))
    assert (len(row.prompt), row.learned) == (prompt, learned)


def test_an_answer_that_was_corrected_is_a_row_of_its_own_and_the_talk_keeps_what_was_said() -> None:
    corrected = turn(2, answer="Under the stairs.", judgement=Judgement.CORRECTED)
    own, talk = rows(turn(1), corrected, turn(3))
    assert (own.id, own.completion) == ("i-2", ({"role": "assistant", "content": "Under the stairs."},))
    assert (talk.id, talk.learned) == ("i-3", (0, 4))
    assert talk.completion[2]["content"] == "Here."


def test_a_correction_of_the_last_answer_ends_the_talk() -> None:
    (row,) = rows(turn(1), turn(2), turn(3, answer="Nowhere.", judgement=Judgement.CORRECTED))
    assert row.learned == (0, 2, 4)
    assert row.completion[-1]["content"] == "Nowhere."


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(turn(1, answer="Good day."), id="an answer that the talk did not go on from"),
        pytest.param(turn(1, conversation="another"), id="another conversation"),
        pytest.param(turn(1, domain="legal"), id="another domain"),
        pytest.param(turn(1, weight=0.5), id="another weight"),
        pytest.param(turn(1, "Be long."), id="another system prompt"),
        pytest.param(turn(1, said=(("Hello!", "Hi."),)), id="a question that was edited"),
        pytest.param(replace(turn(1), conversation="", id="i-1"), id="no conversation"),
    ],
)
def test_what_does_not_belong_is_a_row_of_its_own(other: Example) -> None:
    assert [row.id for row in rows(other, turn(2))] == ["i-1", "i-2"]


def test_white_space_that_a_client_cut_off_does_not_matter() -> None:
    (row,) = rows(turn(1, answer=" Hi.\n"), turn(2))
    assert row.learned == (0, 2)


def test_a_talk_that_went_on_in_two_ways_keeps_its_beginning_once() -> None:
    other = turn(2, said=(SAID[0], ("Who are you?", "Me.")), id="i-4", at=(4, 0))
    first, second = rows(turn(1), turn(2), other)
    assert (first.id, first.learned, second.id, second.learned) == ("i-2", (0,), "i-4", (0, 2))


def test_a_thousand_talks_under_one_name_are_told_apart() -> None:
    talks = [tuple((f"{question} {n}", answer) for question, answer in SAID) for n in range(1000)]
    turns = [turn(number, said=said, id=f"i-{n}-{number}") for n, said in enumerate(talks) for number in (1, 2, 3)]
    assert [len(row.learned) for row in rows(*turns)] == [3] * 1000
