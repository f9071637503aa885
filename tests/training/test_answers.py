import math

import pytest

from tuneloop_trainer.judge.answers import figures, is_broken, log_probability, refuses, repetition, rouge_l, token_f1


@pytest.mark.parametrize(
    ("said", "wanted", "f1", "rouge"),
    [
        pytest.param("The cat sat.", "the cat sat", 1.0, 1.0, id="the same but for case and points"),
        pytest.param("sat cat the", "the cat sat", 1.0, 1 / 3, id="the same words in another order"),
        pytest.param("the cat", "the cat sat down", 2 / 3, 2 / 3, id="half of it"),
        pytest.param("a dog", "the cat", 0.0, 0.0, id="nothing in common"),
        pytest.param("", "the cat", 0.0, 0.0, id="nothing said"),
        pytest.param("A fatura não chegou", "a fatura NÃO chegou!", 1.0, 1.0, id="Portuguese"),
        pytest.param("the the the", "the", 0.5, 0.5, id="a word counts as often as it is wanted"),
    ],
)
def test_overlap(said: str, wanted: str, f1: float, rouge: float) -> None:
    assert (token_f1(said, wanted), rouge_l(said, wanted)) == (pytest.approx(f1), pytest.approx(rouge))


@pytest.mark.parametrize(
    ("said", "broken"),
    [
        pytest.param("buy it now and " * 6, True, id="a loop"),
        pytest.param("  \n", True, id="empty"),
        pytest.param("No.", False, id="short"),
        pytest.param("It is under the stairs, to the left of the red door.", False, id="plain"),
    ],
)
def test_broken(said: str, broken: bool) -> None:
    assert is_broken(said) is broken


def test_repetition_is_the_share_of_passages_that_were_there_already() -> None:
    assert repetition("one two three four one two three four") == pytest.approx(1 / 5)
    assert repetition("one two three") == 0


@pytest.mark.parametrize(("said", "want"), [("I’m sorry, no.", True), ("Desculpe, não posso.", True), ("Sure, sorry for asking.", False)])
def test_refuses(said: str, want: bool) -> None:
    assert refuses(said) is want


def test_figures_are_means_and_a_loop_that_was_wanted_is_none() -> None:
    got = figures([("yes", "yes"), ("ha " * 20, "ha " * 20), ("", "no"), ("I cannot", "I can do that now")])
    assert got.exact_match == 0.5
    assert got.broken == 0.25
    assert got.refusals == 0.25
    assert got.length_ratio == pytest.approx((1 + 1 + 0 + 2 / 5) / 4)


def test_the_probability_of_openings_adds_up() -> None:
    assert log_probability([1.0]) == -1
    assert log_probability([1.0, 1.0]) == pytest.approx(math.log(2) - 1)
    assert log_probability([900.0, 950.0]) == pytest.approx(-900)
