"""Decides what a FineTuneJob does next. RULES is its whole life: the first rule that speaks decides, ends come first."""

from collections.abc import Callable

from tuneloop_operator.api.conditions import Condition, parse_time
from tuneloop_operator.api.finetunejob import Stage
from tuneloop_operator.finetunejob import facts
from tuneloop_operator.finetunejob.actions import DeleteJob, Publish, SetSuspend
from tuneloop_operator.finetunejob.begin import another_first, begin, disabled
from tuneloop_operator.finetunejob.decision import Plan, decided
from tuneloop_operator.finetunejob.jobs import Owner, Phase, Trouble
from tuneloop_operator.finetunejob.outcome import Outcome, described, end, outcome, summary
from tuneloop_operator.finetunejob.snapshot import Snapshot
from tuneloop_operator.finetunejob.stages import STAGES, JobState
from tuneloop_operator.settings import Settings

Rule = Callable[[Snapshot, Settings], Plan | None]


def ended(seen: Snapshot, settings: Settings) -> Plan | None:
    """An end is never left. Only the revision that a LoRAAdapter made of an adapter is still noted, and old Jobs are deleted."""
    stage = seen.old.stage
    if stage is None or not STAGES[stage].ends:
        return None
    ready = next((c for c in seen.old.conditions if c.type == "Ready"), None)
    adapters = tuple(
        described(seen, adapter, Outcome(adapter.published)) if adapter.published else adapter for adapter in seen.old.adapters
    )
    state = JobState(stage, ready.reason if ready else stage.value, ready.message if ready else "")
    return Plan(state, facts.expired(seen, DeleteJob), seen.old.window, seen.old.dataset, adapters)


def foreign_job(seen: Snapshot, settings: Settings) -> Plan | None:
    for job in (seen.harvest, seen.train):
        if job and job.owner == Owner.STRANGER:
            message = f"Job {job.name} exists and is not this FineTuneJob's; delete it, or use another name"
            return decided(seen, Stage.PENDING, "NameConflict", message)
        if job and job.owner == Owner.EARLIER:
            return decided(seen, Stage.PENDING, "CleaningUp", f"Job {job.name} of an earlier FineTuneJob of this name is being deleted")
    return None


def job_failed(seen: Snapshot, settings: Settings) -> Plan | None:
    for job in (seen.harvest, seen.train):
        if job and job.phase == Phase.FAILED and not (job is seen.harvest and facts.dataset(seen)):
            why = job.fault or Trouble("Failed", "")
            return decided(seen, Stage.FAILED, why.reason, f"{job.name}: {why.message} ({facts.attempts(job)})")
    return None


def suspended(seen: Snapshot, settings: Settings) -> Plan | None:
    if not seen.spec.suspend:
        return None
    running = [job for job in (seen.harvest, seen.train) if job and job.phase == Phase.ACTIVE and (job.queued or not job.suspended)]
    actions = [DeleteJob(job) if job.queued else SetSuspend(job, True) for job in running]  # Kueue would begin a suspended one again
    return decided(seen, Stage.SUSPENDED, "Suspended", "spec.suspend is true; what is done is kept", *actions)


def trained(seen: Snapshot, settings: Settings) -> Plan | None:
    """Publishes what is due, one pass; the next sees the LoRAAdapters and ends."""
    adapters, window = facts.adapters(seen), facts.window(seen)
    if not adapters or window is None:
        return None
    results = [outcome(seen, adapter, window.to) for adapter in adapters]
    told = tuple(described(seen, adapter, result) for adapter, result in zip(adapters, results, strict=True))
    due = [Publish(adapter, window.to) for adapter, result in zip(adapters, results, strict=True) if result == Outcome.DUE]
    if due:
        return decided(seen, Stage.PUBLISHING, "Publishing", "", *due, adapters=told)
    stage, reason = end(results)
    published = Condition("Published", Outcome.PUBLISHED in results, reason, summary(told))
    message = "; ".join(part for part in (summary(told), facts.short_domains(facts.dataset(seen))) if part)
    return decided(seen, stage, reason, message, adapters=told, reached=(published,))


def train_without_report(seen: Snapshot, settings: Settings) -> Plan | None:
    """Its pod is gone and nobody heard it. Run again: it finds what it made, and only says so."""
    if seen.train is None or seen.train.phase != Phase.COMPLETE:
        return None
    if (report := seen.train.report) is not None:
        why = ": they have no room in a termination message; let its pods reach the operator's progress port" if report.cut else ""
        return decided(seen, Stage.FAILED, "InternalError", f"{seen.train.name} reported no adapters{why}")
    return decided(seen, Stage.TRAINING, "ReportLost", "the training pod's report is lost; it runs again", DeleteJob(seen.train))


def training(seen: Snapshot, settings: Settings) -> Plan | None:
    if seen.train is None:
        return None
    held = seen.train.suspended and not seen.train.queued
    if held and (waits := another_first(seen)):
        return waits
    actions = [SetSuspend(seen.train, False)] if held else []
    stage, reason, message = facts.train_stage(seen, seen.train)
    return decided(seen, stage, reason, message, *actions, progress_of=seen.train)


def too_little(seen: Snapshot, settings: Settings) -> Plan | None:
    dataset = facts.dataset(seen)
    if dataset is None or dataset.trainable:
        return None
    least = facts.least_examples(seen, settings)
    message = f"no domain has {least} examples: {facts.counts(dataset)}; record more, widen data.window or lower data.minExamplesPerDomain"
    return decided(seen, Stage.INSUFFICIENT_DATA, "InsufficientData", message)


def another_dataset(seen: Snapshot, settings: Settings) -> Plan | None:
    """The spec is immutable, so this end is final."""
    wanted, found = seen.spec.data.dataset_ref, seen.referenced
    if wanted is None or found is None or facts.dataset(seen) or found.digest == wanted.digest:
        return None
    message = f"data.datasetRef.digest is {wanted.digest[:19]}..., but what was collected at {found.uri} is {found.digest[:19]}..."
    return decided(seen, Stage.FAILED, "DatasetMismatch", f"{message}: name one of the two, in a new FineTuneJob")


def collected(seen: Snapshot, settings: Settings) -> Plan | None:
    dataset = facts.dataset(seen)
    if dataset is None or not seen.spec.collect_only:
        return None
    return decided(seen, Stage.COLLECTED, "Collected", f"{facts.counts(dataset)}; read it at {dataset.uri}")


def harvest_without_report(seen: Snapshot, settings: Settings) -> Plan | None:
    if seen.harvest is None or seen.harvest.phase != Phase.COMPLETE or facts.dataset(seen):
        return None
    return decided(seen, Stage.HARVESTING, "ReportLost", "the harvest pod's report is lost; it runs again", DeleteJob(seen.harvest))


def harvesting(seen: Snapshot, settings: Settings) -> Plan | None:
    if seen.harvest is None or facts.dataset(seen):
        return None
    actions = [SetSuspend(seen.harvest, False)] if seen.harvest.suspended and not seen.harvest.queued else []
    reason, message = facts.harvest_stage(seen, seen.harvest)
    return decided(seen, Stage.HARVESTING, reason, message, *actions, progress_of=seen.harvest)


def already_published(seen: Snapshot, settings: Settings) -> Plan | None:
    """Status and Jobs are gone, but a LoRAAdapter carries what this very job published: its window ends after the job was made."""
    if seen.harvest or seen.train or seen.old.dataset:
        return None
    mine = [a for a in seen.adapters.values() if a.trained_by == seen.name and a.data_until and parse_time(a.data_until) >= seen.created]
    if not mine:
        return None
    said = "; ".join(f"{adapter.domain}: published" for adapter in sorted(mine, key=lambda a: a.domain))
    return decided(seen, Stage.COMPLETE, "Published", said, reached=(Condition("Published", True, "Published", said),))


RULES: tuple[Rule, ...] = (
    ended,
    foreign_job,
    job_failed,
    already_published,
    suspended,
    trained,
    train_without_report,
    training,
    another_dataset,
    too_little,
    collected,
    harvest_without_report,
    harvesting,
    disabled,
)


def plan(seen: Snapshot, settings: Settings) -> Plan:
    """If no rule speaks, there is something to start."""
    for rule in RULES:
        if spoken := rule(seen, settings):
            return spoken
    return begin(seen, settings)
