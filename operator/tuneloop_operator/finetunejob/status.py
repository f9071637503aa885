"""The status of a FineTuneJob. Pure."""

from datetime import datetime, timedelta
from typing import Any

from tuneloop_contracts.progress import ProgressBody
from tuneloop_operator.api.conditions import parse_time, set_conditions, timestamp
from tuneloop_operator.api.finetunejob import FineTuneJobStatus, ProgressStatus
from tuneloop_operator.finetunejob.decision import Plan
from tuneloop_operator.finetunejob.snapshot import Snapshot
from tuneloop_operator.finetunejob.stages import conditions

PROGRESS_EVERY = timedelta(seconds=5)
"""Between two writes that only say how far a pod is."""


def status(seen: Snapshot, plan: Plan, old: dict[str, Any], generation: int) -> dict[str, Any]:
    new = FineTuneJobStatus(
        observed_generation=generation,
        stage=plan.state.stage,
        progress=_progress(seen, plan),
        window=plan.window,
        dataset=plan.dataset,
        adapters=plan.adapters,
        adapter_domains=" ".join(adapter.domain for adapter in plan.adapters) or None,
        run_url=seen.old.run_url or (seen.train.report.run_url if seen.train and seen.train.report else None),
        completed_at=(seen.old.completed_at or timestamp(seen.now)) if plan.ends else None,
    ).to_wire()
    said = set_conditions(old.get("conditions", []), conditions(plan.state), generation=generation, now=seen.now)
    return new | {"conditions": said}


def _progress(seen: Snapshot, plan: Plan) -> ProgressStatus | None:
    if plan.ends:
        return _finished(seen) if seen.old.progress else None
    job = plan.progress_of
    body = (seen.train_progress if job is seen.train else seen.harvest_progress) if job else None
    return _read(body, seen.now) if body else None


def _finished(seen: Snapshot) -> ProgressStatus | None:
    before = seen.old.progress
    return before.model_copy(update={"percent": 100, "estimated_remaining_seconds": None}) if before else None


def _read(body: ProgressBody, now: datetime) -> ProgressStatus:
    said = body.trainer_status
    return ProgressStatus(
        percent=said.progress_percentage,
        estimated_remaining_seconds=said.estimated_remaining_seconds,
        loss=body.metric("loss"),
        tokens_per_second=body.metric("tokens_per_second"),
        updated_at=timestamp(now),
    )


def throttled(new: dict[str, Any], old: dict[str, Any], now: datetime) -> tuple[dict[str, Any], float | None]:
    """The status to write, and the seconds after which what was held back may be: progress alone is no reason to write often."""
    before, after = old.get("progress"), new.get("progress")
    if not before or not after:
        return new, None
    if _without_time(before) == _without_time(after):
        return new | {"progress": before}, None
    rest = (parse_time(before["updatedAt"]) + PROGRESS_EVERY - now).total_seconds()
    others_changed = {k: v for k, v in new.items() if k != "progress"} != {k: v for k, v in old.items() if k != "progress"}
    if rest <= 0 or others_changed:
        return new, None
    return new | {"progress": before}, rest


def _without_time(progress: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in progress.items() if key != "updatedAt"}
