import math

import pytest

from tuneloop_contracts.jobs import Gate
from tuneloop_contracts.progress import Verdict
from tuneloop_trainer.learn.gate import Interval, decide, paired, student_quantile

BASE = {str(n): 2.0 + 0.1 * n for n in range(20)}


def shifted(by: float, spread: float = 0.0) -> dict[str, float]:
    return {key: loss + by + (spread if int(key) % 2 else -spread) for key, loss in BASE.items()}


FEW = {"0": 1.0}


@pytest.mark.parametrize(
    ("candidate", "reference", "forgetting", "settings", "want"),
    [
        pytest.param(shifted(-0.5, 0.1), BASE, None, Gate(), Verdict.PROMOTE, id="better for sure"),
        pytest.param(shifted(-0.01, 0.5), BASE, None, Gate(), Verdict.INCONCLUSIVE, id="better, perhaps"),
        pytest.param(shifted(0.01, 0.5), BASE, None, Gate(), Verdict.INCONCLUSIVE, id="worse, perhaps"),
        pytest.param(shifted(0.5, 0.1), BASE, None, Gate(), Verdict.REJECT, id="worse for sure"),
        pytest.param(BASE, BASE, None, Gate(), Verdict.REJECT, id="the same"),
        pytest.param(shifted(-0.5, 0.1), BASE, None, Gate(min_improvement=0.6), Verdict.REJECT, id="better, but not by what was asked"),
        pytest.param(shifted(-0.6, 0.2), BASE, None, Gate(min_improvement=0.6), Verdict.INCONCLUSIVE, id="perhaps by what was asked"),
        pytest.param(shifted(-0.9, 0.1), BASE, None, Gate(min_improvement=0.6), Verdict.PROMOTE, id="by more than was asked"),
        pytest.param(FEW, FEW, None, Gate(), Verdict.INCONCLUSIVE, id="one example"),
        pytest.param({}, {}, None, Gate(), Verdict.INCONCLUSIVE, id="none"),
        pytest.param(shifted(-0.5), BASE, Interval(0.1, 0.05, 0.15), Gate(), Verdict.REJECT, id="better, but it forgets"),
        pytest.param(shifted(-0.5), BASE, Interval(0.1, -0.1, 0.3), Gate(), Verdict.PROMOTE, id="it forgets, perhaps"),
        pytest.param(shifted(-0.5), BASE, Interval(0.01, 0.005, 0.015), Gate(), Verdict.PROMOTE, id="it forgets, but little"),
        pytest.param(shifted(0.5, 0.1), BASE, None, Gate(mode="Report"), Verdict.PROMOTE, id="worse, but only reported"),
        pytest.param({}, {}, None, Gate(mode="Report"), Verdict.PROMOTE, id="no example, but only reported"),
    ],
)
def test_verdict(
    candidate: dict[str, float], reference: dict[str, float], forgetting: Interval | None, settings: Gate, want: Verdict
) -> None:
    decision = decide(candidate, reference, forgetting, settings)
    assert decision.verdict is want
    assert decision.reason


def test_report_mode_says_what_the_gate_would() -> None:
    assert "would say Reject" in decide(shifted(0.5, 0.1), BASE, None, Gate(mode="Report")).reason


def test_pairs_tell_where_averages_would_not() -> None:
    """The examples differ by 1.9 nats among themselves, the models by 0.05."""
    assert decide(shifted(-0.05, 0.01), BASE, None, Gate()).verdict is Verdict.PROMOTE


@pytest.mark.parametrize(
    ("freedom", "want"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (19, 2.093), (29, 2.045), (10_000, 1.960)]
)
def test_student(freedom: int, want: float) -> None:
    """Against the printed tables."""
    assert student_quantile(0.975, freedom) == pytest.approx(want, rel=0.002)


def test_interval() -> None:
    got = paired({"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 2.0, "b": 2.0, "c": 2.0})
    assert got is not None
    assert got.mean == 0
    assert got.high == pytest.approx(4.303 * 1 / math.sqrt(3), rel=0.001)
    assert str(got) == "[-2.4841, 2.4841]"
