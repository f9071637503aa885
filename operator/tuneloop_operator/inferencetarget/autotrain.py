"""Training without being asked: a target that had no job for AUTO_TRAINING_INTERVAL gets one. Pure."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tuneloop_contracts.names import MAX_NAME, TARGET_LABEL
from tuneloop_operator.api.conditions import is_true, parse_time
from tuneloop_operator.api.finetunejob import Stage
from tuneloop_operator.api.kinds import FINE_TUNE_JOBS, Object
from tuneloop_operator.ledger.inputs import Adapter

AUTOMATIC = re.compile(r"-auto-\d{8}-\d{4}$")
"""The end of a name that job_name gave."""


def newest(jobs: Sequence[Object], before: str | None) -> str | None:
    """When the newest of a target's jobs was made. `before`: as the status had it, since that job may be deleted by now."""
    return max([*(str(job["metadata"]["creationTimestamp"]) for job in jobs), *([before] if before else [])], default=None)


def at_work(jobs: Sequence[Object]) -> bool:
    """Whether one has begun and not ended. One of somebody's that waits for something to be mended is no reason to wait too; one that was
    made here is, or soon many would wait for the same."""
    return any((_has_begun(job) or AUTOMATIC.search(job["metadata"]["name"])) and not _has_ended(job) for job in jobs)


def _has_begun(job: Object) -> bool:
    return job.get("status", {}).get("stage") not in (None, Stage.PENDING)


def _has_ended(job: Object) -> bool:
    said = job.get("status", {})
    return is_true(said, "Complete") or is_true(said, "Failed")


def trained_at(newest_job: str | None, adapters: Sequence[Adapter]) -> list[datetime]:
    """When its newest job was made, and where the data of its adapters ends: a status may be lost too."""
    return [parse_time(text) for text in (newest_job, *(adapter.data_until for adapter in adapters)) if text]


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
