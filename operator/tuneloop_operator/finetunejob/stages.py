"""The stages of a FineTuneJob and what each means to machines: STAGES is the contract, a test walks it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from tuneloop_operator.api.conditions import READY, RECONCILING, STALLED, Condition
from tuneloop_operator.api.finetunejob import Stage


@dataclass(frozen=True)
class StageConditions:
    """What the conditions say in a stage."""

    ready: bool
    reconciling: bool
    stalled: bool
    also: str = ""
    """A condition that is True in this stage only."""
    ends: bool = False


_RUNNING = StageConditions(ready=False, reconciling=True, stalled=False)
_RESULT = StageConditions(ready=True, reconciling=False, stalled=False, also="Complete", ends=True)

STAGES: dict[Stage, StageConditions] = {
    Stage.PENDING: _RUNNING,
    Stage.HARVESTING: _RUNNING,
    Stage.QUEUED: _RUNNING,
    Stage.TRAINING: _RUNNING,
    Stage.EVALUATING: _RUNNING,
    Stage.PUBLISHING: _RUNNING,
    Stage.SUSPENDED: StageConditions(ready=False, reconciling=False, stalled=False, also="Suspended"),
    Stage.COMPLETE: _RESULT,
    Stage.INSUFFICIENT_DATA: _RESULT,
    Stage.COLLECTED: _RESULT,
    Stage.REJECTED: _RESULT,
    Stage.INCONCLUSIVE: _RESULT,
    Stage.FAILED: StageConditions(ready=False, reconciling=False, stalled=True, also="Failed", ends=True),
}


def is_end(stage: str | None) -> bool:
    return stage in STAGES and STAGES[Stage(stage)].ends


MARKS = ("Suspended", "Complete", "Failed")


@dataclass(frozen=True)
class JobState:
    """Where a job stands."""

    stage: Stage
    reason: str
    message: str
    reached: tuple[Condition, ...] = ()
    """Harvested, Trained, Evaluated, Published, as far as it got."""


def conditions(state: JobState) -> Iterator[Condition]:
    row, reason, message = STAGES[state.stage], state.reason, state.message
    yield Condition(READY, row.ready, reason, message)
    yield Condition(RECONCILING, row.reconciling, reason, message if row.reconciling else "")
    yield Condition(STALLED, row.stalled, reason, message if row.stalled else "")
    for mark in MARKS:
        holds = mark == row.also
        yield Condition(mark, holds, reason if holds else state.stage.value, message if holds else "")
    yield from state.reached
