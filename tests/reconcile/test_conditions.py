from datetime import UTC, datetime, timedelta

import pytest

from tuneloop_operator.api.conditions import MESSAGE_LIMIT, Condition, Readiness, kstatus, set_conditions

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)


def test_the_transition_time_moves_only_when_the_status_does() -> None:
    first = set_conditions([], [Condition("Ready", False, "Pending")], generation=1, now=NOON)
    second = set_conditions(first, [Condition("Ready", False, "Loading", "1 of 2")], generation=2, now=LATER)
    third = set_conditions(second, [Condition("Ready", True, "Serving")], generation=2, now=LATER)
    assert [c[0]["lastTransitionTime"] for c in (first, second, third)] == [
        "2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z", "2026-11-23T12:01:00Z",
    ]  # fmt: skip
    assert (second[0]["reason"], second[0]["observedGeneration"]) == ("Loading", 2)


def test_conditions_of_other_types_stay_in_their_order() -> None:
    old = set_conditions([], [Condition("Ready", True, "A"), Condition("Stalled", False, "A")], generation=1, now=NOON)
    new = set_conditions(old, [Condition("Available", True, "B"), Condition("Ready", None, "B")], generation=1, now=LATER)
    assert [(c["type"], c["status"]) for c in new] == [("Ready", "Unknown"), ("Stalled", "False"), ("Available", "True")]


def test_a_long_message_is_cut() -> None:
    assert len(set_conditions([], [Condition("Ready", True, "A", "x" * 9999)], generation=1, now=NOON)[0]["message"]) == MESSAGE_LIMIT


@pytest.mark.parametrize(
    ("ready", "stalled", "want"),
    [(True, False, (True, False, False)), (False, False, (False, True, False)), (False, True, (False, False, True))],
)
def test_ready_reconciling_and_stalled_agree(ready: bool, stalled: bool, want: tuple[bool, ...]) -> None:
    assert tuple(c.status for c in kstatus(Readiness(ready, "R", "m", needs_edit=stalled))) == want
