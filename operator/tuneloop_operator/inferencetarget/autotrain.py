"""Training without being asked: a target that had no job for AUTO_TRAINING_INTERVAL gets one. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tuneloop_contracts.names import MAX_NAME, TARGET_LABEL
from tuneloop_operator.api.kinds import FINE_TUNE_JOBS


def due_in(target_created: datetime, jobs_created: Sequence[datetime], interval: timedelta, now: datetime) -> timedelta:
    """Until the next job; nothing or less when it is due. Counted from the newest job, and from the target's own beginning while it
    has none."""
    return max([target_created, *jobs_created]) + interval - now


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
