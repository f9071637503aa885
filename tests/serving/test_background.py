"""Long work beside a model that answers takes a sixth of the time."""

import time

import pytest

from tuneloop_server.background import in_background
from tuneloop_server.engine.base import Pressure


@pytest.mark.parametrize(
    ("pressure", "want"),
    [
        pytest.param(Pressure(1, 0), [0.020, 0.011], id="while the model answers"),
        pytest.param(Pressure(0, 0), [], id="not when it has nothing to do"),
    ],
)
async def test_work_rests_five_times_as_long_as_it_worked(pressure: Pressure, want: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    worked = iter([7.0, 7.004, 7.0041, 7.0042, 7.0043, 7.0063, 7.0063])
    """By the thread's clock: at the beginning, then at each call and after each rest."""
    monkeypatch.setattr(time, "thread_time", lambda: next(worked))
    monkeypatch.setattr(time, "sleep", rests.append)
    await in_background(lambda throttle: [throttle() for _ in range(4)], lambda: pressure)
    assert rests == pytest.approx(want)
