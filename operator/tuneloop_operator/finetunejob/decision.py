"""What a pass over a FineTuneJob decides: where it stands, what to do, and what the status should keep. Pure."""

from dataclasses import dataclass, replace
from typing import Any

from tuneloop_contracts.dataset import Dataset
from tuneloop_operator.api.conditions import Condition
from tuneloop_operator.api.finetunejob import AdapterStatus, Stage, WindowStatus
from tuneloop_operator.finetunejob import facts
from tuneloop_operator.finetunejob.actions import Action
from tuneloop_operator.finetunejob.jobs import JobSnapshot
from tuneloop_operator.finetunejob.outcome import Outcome, described
from tuneloop_operator.finetunejob.snapshot import Snapshot
from tuneloop_operator.finetunejob.stages import STAGES, JobState


@dataclass(frozen=True)
class Plan:
    """Where the job stands, what to do, and what the status should keep."""

    state: JobState
    actions: tuple[Action, ...] = ()
    window: WindowStatus | None = None
    dataset: Dataset | None = None
    adapters: tuple[AdapterStatus, ...] = ()
    progress_of: JobSnapshot | None = None
    """The Job whose progress counts."""

    @property
    def ends(self) -> bool:
        return STAGES[self.state.stage].ends


def decided(seen: Snapshot, stage: Stage, reason: str, message: str = "", *actions: Action, **more: Any) -> Plan:
    """Whatever the stage, what has been reached stays said."""
    dataset, adapters = facts.dataset(seen), more.pop("adapters", None) or _told(seen)
    reached = [facts.harvested(dataset)] if dataset else []
    if adapters:
        reached += [Condition("Trained", True, "Trained", ""), Condition("Evaluated", True, "Evaluated", facts.verdicts(adapters))]
    state = JobState(stage, reason, message, (*reached, *more.pop("reached", ())))
    return Plan(state, actions, facts.window(seen), dataset, adapters, **more)


def _told(seen: Snapshot) -> tuple[AdapterStatus, ...]:
    return tuple(described(seen, adapter, Outcome.DUE) for adapter in facts.adapters(seen))


def refused(plan: Plan, error: Exception, *, for_good: bool) -> Plan:
    """What becomes of a plan whose act the API server refuses. The spec is immutable: what is wrong in the object itself stays so, while a
    quota or a Role may be mended. An end stays said, though its Jobs cannot be deleted."""
    if plan.ends:
        return replace(plan, actions=())
    stage, reason = (Stage.FAILED, "InvalidSpec") if for_good else (plan.state.stage, "NotAllowed")
    who = "the API server" if for_good else "a quota, an admission rule or a Role"
    state = replace(plan.state, stage=stage, reason=reason, message=f"{who} refuses it: {error}")
    return replace(plan, state=state, actions=())
