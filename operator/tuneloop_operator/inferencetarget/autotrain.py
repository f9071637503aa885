"""Training without being asked: a target that had no job for AUTO_TRAINING_INTERVAL gets one. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tuneloop_contracts.names import MAX_NAME, TARGET_LABEL
from tuneloop_operator.api.conditions import parse_time
from tuneloop_operator.api.kinds import FINE_TUNE_JOBS, Object
from tuneloop_operator.ledger.seen import Adapter


def trained_at(target: str, jobs: Sequence[Object], adapters: Sequence[Adapter]) -> list[datetime]:
    """When its jobs were made, and where the data of its adapters ends: the jobs that made those may be deleted by now."""
    made = [job["metadata"]["creationTimestamp"] for job in jobs if job["spec"]["targetRef"]["name"] == target]
    return [parse_time(text) for text in (*made, *(adapter.data_until for adapter in adapters)) if text]


def due_in(target_created: datetime, trained: Sequence[datetime], interval: timedelta, now: datetime) -> timedelta:
    """Until the next job; nothing or less when it is due. Counted from when it was last trained, and from the target's own beginning
    while it never was."""
    return max([target_created, *trained]) + interval - now


def job_name(target: str, now: datetime) -> str:
    """One name a minute: two passes that both think it is time make one job."""
    suffix = f"-auto-{now:%Y%m%d-%H%M}"
    return target[: MAX_NAME - len(suffix)].rstrip("-.") + suffix


def fine_tune_job(target: str, namespace: str, now: datetime) -> dict[str, Any]:
    """The shortest job there is; the operator's defaults decide the rest."""
    return {
        "apiVersion": FINE_TUNE_JOBS.api_version,
        "kind": FINE_TUNE_JOBS.name,
        "metadata": {"name": job_name(target, now), "namespace": namespace, "labels": {TARGET_LABEL: target}},
        "spec": {"targetRef": {"name": target}},
    }
