"""What can be said of a FineTuneJob from what was seen of it. Pure: the status first, then the world, so that either may be lost."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from tuneloop_contracts.dataset import Dataset
from tuneloop_contracts.durations import parse_duration
from tuneloop_contracts.progress import FaultReason, TrainedAdapter
from tuneloop_operator.api.conditions import Condition, parse_time, timestamp
from tuneloop_operator.api.finetunejob import AdapterStatus, Stage, WindowStatus
from tuneloop_operator.finetunejob.jobs import JobSnapshot, Owner, Trouble
from tuneloop_operator.finetunejob.snapshot import Snapshot
from tuneloop_operator.finetunejob.stages import is_end
from tuneloop_operator.settings import Settings

SAID_OF_TARGETS = (
    "DeploymentNotFound", "NoReplicas", "NoReadyPods", "NotATuneloopServer", "RedisUnreachable", "RedisUnauthorized",
    "UnsafeEvictionPolicy", "StoreNotFound", "StoreNotMounted",
    "StoreNotShareable", "BaseMismatch",
)  # fmt: skip
"""A target's reasons that are as plain at the job; others become TargetNotReady."""

PODLESS = timedelta(seconds=20)
"""How long a Job may have no pod before that is worth a word; the controller needs well under a second."""

T = TypeVar("T")


def window(seen: Snapshot) -> WindowStatus | None:
    """Fixed at the first harvest: from the status, the harvest Job's own configuration, or the dataset."""
    if seen.old.window:
        return seen.old.window
    if seen.harvest and seen.harvest.config:
        config = json.loads(seen.harvest.config)
        return WindowStatus(from_=config["windowStart"], to=config["windowEnd"])
    found = dataset(seen)
    return WindowStatus(from_=found.from_, to=found.to) if found else None


def new_window(seen: Snapshot, settings: Settings) -> WindowStatus:
    """Ends now: what was recorded while the job waited for its target counts too."""
    asked = seen.spec.data.window
    length = parse_duration(asked) if asked else timedelta(days=settings.training_data_days)
    return WindowStatus(from_=timestamp(seen.now - length), to=seen.now.isoformat(timespec="milliseconds").replace("+00:00", "Z"))


def dataset(seen: Snapshot) -> Dataset | None:
    if seen.old.dataset:
        return seen.old.dataset
    if seen.harvest and seen.harvest.report and seen.harvest.report.dataset:
        return seen.harvest.report.dataset
    if seen.train and seen.train.report and seen.train.report.dataset:
        return seen.train.report.dataset
    if seen.train and seen.train.config:
        trained = Dataset.model_validate(json.loads(seen.train.config)["dataset"])
        return None if trained.is_only_named else trained
    wanted = seen.spec.data.dataset_ref
    return seen.referenced if wanted and seen.referenced and seen.referenced.digest == wanted.digest else None


def adapters(seen: Snapshot) -> Sequence[TrainedAdapter]:
    if seen.old.adapters:
        return seen.old.adapters
    return seen.train.report.adapters if seen.train and seen.train.report else ()


def may_train(seen: Snapshot) -> bool:
    """Whether nothing may be left to do but to begin the training, or to go on with one that was suspended."""
    rests = seen.train is None or seen.train.suspended
    return rests and seen.target is not None and not is_end(seen.old.stage) and bool(dataset(seen) or seen.spec.data.dataset_ref)


def least_examples(seen: Snapshot, settings: Settings) -> int:
    return seen.spec.data.min_examples_per_domain or settings.min_examples_per_domain


def attempts(job: JobSnapshot) -> str:
    return "1 attempt" if job.failures == 1 else f"{job.failures} attempts"


def counts(found: Dataset) -> str:
    return ", ".join(f"{domain.name} {domain.examples}" for domain in found.domains) or "nothing was recorded in the window"


def funnel(found: Dataset) -> str:
    quarantined = sum(count.count for count in found.quarantined)
    apart = f", {quarantined} quarantined" if quarantined else ""
    return f"{found.read} read, {found.kept} kept{apart}: {counts(found)}"


def harvested(found: Dataset) -> Condition:
    """The loud warning: a model that only learns from itself gets worse (Shumailov et al., Nature 631, 2024), though its loss falls."""
    if found.kept == 0 or found.outside_signal:
        return Condition("Harvested", True, "Harvested", funnel(found))
    warning = "no thumb and no correction in the window: adapters learn only what the model already says; send POST /v1/feedback"
    return Condition("Harvested", True, "NoOutsideSignal", f"{funnel(found)}; {warning}")


def short_domains(found: Dataset | None) -> str:
    short = [f"{d.name} ({d.examples})" for d in (found.domains if found else ()) if d.reason]
    return f"too few examples for {', '.join(short)}" if short else ""


def verdicts(told: Sequence[AdapterStatus]) -> str:
    return ", ".join(f"{adapter.domain} {adapter.verdict.value}" for adapter in told)


def trouble(seen: Snapshot, job: JobSnapshot) -> Trouble | None:
    """Why a Job that is active gets nowhere: what its pod says it waits for, why none runs, or what felled the last one."""
    if not job.running and job.waiting:
        return job.waiting
    progress = seen.train_progress if job is seen.train else seen.harvest_progress
    waits_for = progress.metric("waiting") if progress and job.running else None
    if waits_for:
        known = waits_for if waits_for in set(FaultReason) else "Waiting"
        return Trouble(known, f"the pod of {job.name} waits: {waits_for}")
    if not job.running and job.fault:
        return Trouble("Retrying", f"{job.name} is tried again after {job.fault.reason}: {job.fault.message} ({attempts(job)})")
    if job.suspended and job.queued:
        return Trouble("Queued", f"Kueue has not admitted Job {job.name} yet")
    if job.podless_since and not job.suspended and seen.now - job.podless_since > PODLESS:
        message = f"Job {job.name} has made no pod: a quota or an admission rule may refuse it; see kubectl describe job {job.name}"
        return Trouble("NoPodYet", message)
    why = seen.target.trouble if seen.target else None
    return why if why and why.reason == "StoreNotShareable" and not job.running else None


def harvest_stage(seen: Snapshot, job: JobSnapshot) -> tuple[str, str]:
    if why := trouble(seen, job):
        return why.reason, why.message
    return "Harvesting", "reading recorded interactions" if job.running else job.starting or "the harvest pod is not running yet"


def train_stage(seen: Snapshot, job: JobSnapshot) -> tuple[Stage, str, str]:
    """By what the pod last said it was doing; Queued while none runs."""
    why = trouble(seen, job)
    if not job.running:
        return Stage.QUEUED, why.reason if why else "Queued", why.message if why else job.starting or "the training pod is not running yet"
    said = seen.train_progress.metric("stage") if seen.train_progress else None
    stage = Stage(said) if said in (Stage.EVALUATING, Stage.PUBLISHING) else Stage.TRAINING
    return stage, why.reason if why else stage.value, why.message if why else ""


def expired(seen: Snapshot, delete: Callable[[JobSnapshot], T]) -> tuple[T, ...]:
    """Jobs whose time after the end is over."""
    left = seconds_to_expiry(seen)
    return tuple(delete(job) for job in _ours(seen)) if left == 0 else ()


def seconds_to_expiry(seen: Snapshot) -> float | None:
    """Until the Jobs of an ended one are to be deleted; None: there are none, or they stay."""
    ttl, over = seen.spec.ttl_seconds_after_finished, seen.old.completed_at
    if ttl is None or not _ours(seen):
        return None
    end = parse_time(over) if over else seen.now
    return max((end + timedelta(seconds=ttl) - seen.now).total_seconds(), 0.0)


def _ours(seen: Snapshot) -> list[JobSnapshot]:
    return [job for job in (seen.harvest, seen.train) if job and job.owner == Owner.OURS]
