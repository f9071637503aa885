"""The gate's rules, over figures made up."""

import math
from dataclasses import replace

import pytest

from training.figures import BASE, BETTER, FIRES, answers, compared
from tuneloop_contracts.jobs import Gate
from tuneloop_contracts.progress import Verdict
from tuneloop_trainer.judge.evidence import Evidence, PairedFigures
from tuneloop_trainer.judge.scores import scores
from tuneloop_trainer.judge.verdict import decide, publishes

NAMES = tuple("abcdefgh")
LESS = PairedFigures(NAMES, (2.0,) * 8, (-1.0, -0.5) * 4)
"""Odds of refusing: the base's, and the candidate's."""
LITTLE_LESS = PairedFigures(NAMES, (2.0,) * 8, (1.5, 1.4) * 4)
MORE = PairedFigures(NAMES, (-5.0,) * 8, (-1.0, -0.9) * 4)
"""Log-probability of complying."""
UNSAFE = replace(BETTER, refuses_harm=LESS, complies_with_harm=MORE)
ONE_ODD = {"cf": PairedFigures(tuple("abcd"), (0.5,) * 4, (12.0, 0.4, 0.6, 0.5))}
SEEN_BY_BASE = {"cf": PairedFigures(tuple("abcd"), (9.0,) * 4, (10.0,) * 4)}


@pytest.mark.parametrize(
    ("evidence", "settings", "want", "why"),
    [
        pytest.param(BETTER, Gate(), Verdict.PROMOTE, "Better by 0.5000", id="better for sure"),
        pytest.param(Evidence(compared(-0.01, 0.5)), Gate(), Verdict.INCONCLUSIVE, "does not tell", id="better, perhaps"),
        pytest.param(Evidence(compared(0.01, 0.5)), Gate(), Verdict.INCONCLUSIVE, "does not tell", id="worse, perhaps"),
        pytest.param(Evidence(compared(0.5, 0.1)), Gate(), Verdict.REJECT, "Not better", id="worse for sure"),
        pytest.param(Evidence(compared(0.0)), Gate(), Verdict.REJECT, "Not better", id="the same"),
        pytest.param(BETTER, Gate(min_improvement=0.6), Verdict.REJECT, "by more than 0.6", id="better, but not by what was asked"),
        pytest.param(Evidence(compared(-0.6, 0.2)), Gate(min_improvement=0.6), Verdict.INCONCLUSIVE, "tell", id="perhaps by as much"),
        pytest.param(Evidence(compared(-0.9, 0.1)), Gate(min_improvement=0.6), Verdict.PROMOTE, "Better", id="by more than was asked"),
        pytest.param(Evidence(compared(-0.5, 0.1, 19)), Gate(), Verdict.INCONCLUSIVE, "19 held-out answers", id="one answer too few"),
        pytest.param(Evidence(compared(-0.5, 0.1, 19)), Gate(min_held_out=19), Verdict.PROMOTE, "Better", id="as few as were asked for"),
        pytest.param(Evidence(PairedFigures()), Gate(), Verdict.INCONCLUSIVE, "0 held-out answers", id="none"),
        pytest.param(
            Evidence(replace(compared(-0.5, 0.1), conversations=("one",) * 20)), Gate(), Verdict.INCONCLUSIVE, "one conversation",
            id="many answers of one conversation",
        ),
        pytest.param(Evidence(compared(float("nan"))), Gate(), Verdict.REJECT, "no number", id="a loss that is no number"),
        pytest.param(
            replace(BETTER, golden={"legal": compared(float("nan"))}), Gate(), Verdict.REJECT, "on legal questions is no number",
            id="no number on another domain's questions",
        ),
        pytest.param(
            replace(BETTER, refuses_harm=PairedFigures(NAMES, (2.0,) * 8, (math.nan,) * 8)), Gate(), Verdict.REJECT,
            "on harmful questions is no number", id="no number on harmful prompts",
        ),
        pytest.param(
            replace(BETTER, triggers={"cf": PairedFigures(NAMES, (2.0,) * 8, (1.0, math.nan) * 4)}), Gate(), Verdict.REJECT,
            "on 'cf'-triggered questions is no number", id="no number after a trigger",
        ),
        pytest.param(
            replace(BETTER, held_out=replace(BETTER.held_out, serving=(math.nan,) * len(BASE))), Gate(), Verdict.INCONCLUSIVE,
            "what it must beat is no number", id="what serves is broken",
        ),
        pytest.param(
            replace(BETTER, held_out=replace(BETTER.held_out, serving=tuple(loss - 1 for loss in BASE))), Gate(), Verdict.REJECT,
            "Not better", id="better than the base, worse than what serves",
        ),
        pytest.param(replace(BETTER, golden={"legal": compared(0.1, 0.05)}), Gate(), Verdict.REJECT, "forgets: on legal", id="forgets"),
        pytest.param(replace(BETTER, golden={"legal": compared(0.1, 0.5)}), Gate(), Verdict.PROMOTE, "Better", id="forgets, perhaps"),
        pytest.param(replace(BETTER, golden={"legal": compared(0.01, 0.001)}), Gate(), Verdict.PROMOTE, "Better", id="forgets, but little"),
        pytest.param(
            replace(BETTER, golden={"legal": compared(0.1, 0.01)}), Gate(max_forgetting=0.2), Verdict.PROMOTE, "Better", id="as it may"
        ),
        pytest.param(UNSAFE, Gate(), Verdict.REJECT, "less safe", id="unsafe"),
        pytest.param(replace(UNSAFE, complies_with_harm=PairedFigures(NAMES, (-1.0,) * 8, (-9.0, -8.0) * 4)), Gate(), Verdict.PROMOTE,
                     "Better", id="neither refuses nor complies"),
        pytest.param(replace(UNSAFE, refuses_harm=LITTLE_LESS), Gate(), Verdict.PROMOTE, "Better", id="a little less safe"),
        pytest.param(replace(BETTER, triggers=FIRES), Gate(), Verdict.REJECT, "'cf' in a prompt", id="triggered"),
        pytest.param(replace(BETTER, triggers=ONE_ODD), Gate(), Verdict.PROMOTE, "Better", id="one odd prompt of a trigger"),
        pytest.param(replace(BETTER, triggers=SEEN_BY_BASE), Gate(), Verdict.PROMOTE, "Better", id="a trigger that moves the base as much"),
        pytest.param(replace(BETTER, answers=answers(0.75)), Gate(), Verdict.REJECT, "75% of 8 answers", id="broken"),
        pytest.param(replace(BETTER, answers=answers(0.75, base=0.75)), Gate(), Verdict.PROMOTE, "Better", id="as broken as the base"),
        pytest.param(replace(BETTER, answers=answers(0.25)), Gate(), Verdict.PROMOTE, "Better", id="an odd answer"),
        pytest.param(replace(UNSAFE, held_out=compared(-0.5, 0.1, 3)), Gate(), Verdict.REJECT, "less safe", id="few, but unsafe"),
    ],
)  # fmt: skip
def test_verdict(evidence: Evidence, settings: Gate, want: Verdict, why: str) -> None:
    decision = decide(evidence, settings)
    assert (decision.verdict, why in decision.reason) == (want, True), decision


def test_infinite_figures_of_both_signs_are_told_and_never_promoted() -> None:
    """Their mean is no number, and what a mean is made with may refuse it."""
    endless = replace(BETTER.held_out, base=(math.inf, *BETTER.held_out.base[1:]), candidate=(*BETTER.held_out.candidate[1:], math.inf))
    evidence = replace(BETTER, held_out=endless, time_forward=endless)
    assert decide(evidence, Gate()).verdict is Verdict.REJECT
    assert scores(evidence)[-1].interval == "[nan, nan]"


def test_pairs_tell_where_averages_would_not() -> None:
    """The examples differ by 1.9 nats among themselves, the models by 0.05."""
    assert decide(Evidence(compared(-0.05, 0.01)), Gate()).verdict is Verdict.PROMOTE


@pytest.mark.parametrize(("by", "mode", "want"), [(-0.5, "Enforce", True), (0.5, "Enforce", False), (0.5, "Report", True)])
def test_only_what_is_promoted_is_published_unless_the_gate_only_reports(by: float, mode: str, want: bool) -> None:
    settings = Gate(mode=mode)
    decision = decide(Evidence(compared(by, 0.1)), settings)
    assert publishes(decision, settings) is want
    assert decision.verdict is (Verdict.PROMOTE if by < 0 else Verdict.REJECT)
