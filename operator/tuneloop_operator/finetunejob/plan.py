"""Decides what a FineTuneJob does next. RULES is its whole life: the first rule that speaks decides, ends come first."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tuneloop_contracts.dataset import Dataset
from tuneloop_operator.api.conditions import Condition, parse_time
from tuneloop_operator.api.finetunejob import AdapterStatus, Stage, WindowStatus
from tuneloop_operator.finetunejob import facts
from tuneloop_operator.finetunejob.actions import Action, CreateHarvest, CreateTrain, DeleteJob, Publish, SetSuspend
from tuneloop_operator.finetunejob.jobs import JobSeen, Owner, Phase, Trouble
from tuneloop_operator.finetunejob.manifests import datasets
from tuneloop_operator.finetunejob.outcome import Outcome, described, end, outcome, summary
from tuneloop_operator.finetunejob.seen import Seen, TargetSeen
from tuneloop_operator.finetunejob.stages import STAGES, Standing
from tuneloop_operator.settings import Settings


@dataclass(frozen=True)
class Plan:
    """Where the job stands, what to do, and what the status should keep."""

    standing: Standing
    actions: tuple[Action, ...] = ()
    window: WindowStatus | None = None
    dataset: Dataset | None = None
    adapters: tuple[AdapterStatus, ...] = ()
    progress_of: JobSeen | None = field(default=None)
    """The Job whose progress counts."""

    @property
    def ends(self) -> bool:
        return STAGES[self.standing.stage].ends


Rule = Callable[[Seen, Settings], Plan | None]


def _plan(seen: Seen, stage: Stage, reason: str, message: str = "", *actions: Action, **more: Any) -> Plan:
    """Whatever the stage, what has been reached stays said."""
    dataset, adapters = facts.dataset(seen), more.pop("adapters", None) or _told(seen)
    reached = [facts.harvested(dataset)] if dataset else []
    if adapters:
        reached += [Condition("Trained", True, "Trained", ""), Condition("Evaluated", True, "Evaluated", facts.verdicts(adapters))]
    standing = Standing(stage, reason, message, (*reached, *more.pop("reached", ())))
    return Plan(standing, actions, facts.window(seen), dataset, adapters, **more)


def _told(seen: Seen) -> tuple[AdapterStatus, ...]:
    return tuple(described(seen, adapter, Outcome.DUE) for adapter in facts.adapters(seen))


def ended(seen: Seen, settings: Settings) -> Plan | None:
    """An end is never left. Only the revision that a LoRAAdapter made of an adapter is still noted, and old Jobs are deleted."""
    stage = seen.old.stage
    if stage is None or not STAGES[stage].ends:
        return None
    ready = next((c for c in seen.old.conditions if c.type == "Ready"), None)
    adapters = tuple(
        described(seen, adapter, Outcome(adapter.published)) if adapter.published else adapter for adapter in seen.old.adapters
    )
    standing = Standing(stage, ready.reason if ready else stage.value, ready.message if ready else "")
    return Plan(standing, facts.expired(seen, DeleteJob), seen.old.window, seen.old.dataset, adapters)


def foreign_job(seen: Seen, settings: Settings) -> Plan | None:
    for job in (seen.harvest, seen.train):
        if job and job.owner == Owner.STRANGER:
            message = f"Job {job.name} exists and is not this FineTuneJob's; delete it, or use another name"
            return _plan(seen, Stage.PENDING, "NameConflict", message)
        if job and job.owner == Owner.EARLIER:
            return _plan(seen, Stage.PENDING, "CleaningUp", f"Job {job.name} of an earlier FineTuneJob of this name is being deleted")
    return None


def job_failed(seen: Seen, settings: Settings) -> Plan | None:
    for job in (seen.harvest, seen.train):
        if job and job.phase == Phase.FAILED and not (job is seen.harvest and facts.dataset(seen)):
            why = job.fault or Trouble("Failed", "")
            return _plan(seen, Stage.FAILED, why.reason, f"{job.name}: {why.message} ({facts.attempts(job)})")
    return None


def suspended(seen: Seen, settings: Settings) -> Plan | None:
    if not seen.spec.suspend:
        return None
    running = [job for job in (seen.harvest, seen.train) if job and job.phase == Phase.ACTIVE and (job.queued or not job.suspended)]
    actions = [DeleteJob(job) if job.queued else SetSuspend(job, True) for job in running]  # Kueue would begin a suspended one again
    return _plan(seen, Stage.SUSPENDED, "Suspended", "spec.suspend is true; what is done is kept", *actions)


def trained(seen: Seen, settings: Settings) -> Plan | None:
    """Publishes what is due, one pass; the next sees the LoRAAdapters and ends."""
    adapters, window = facts.adapters(seen), facts.window(seen)
    if not adapters or window is None:
        return None
    results = [outcome(seen, adapter, window.to) for adapter in adapters]
    told = tuple(described(seen, adapter, result) for adapter, result in zip(adapters, results, strict=True))
    due = [Publish(adapter, window.to) for adapter, result in zip(adapters, results, strict=True) if result == Outcome.DUE]
    if due:
        return _plan(seen, Stage.PUBLISHING, "Publishing", "", *due, adapters=told)
    stage, reason = end(results)
    published = Condition("Published", Outcome.PUBLISHED in results, reason, summary(told))
    message = "; ".join(part for part in (summary(told), facts.short_domains(facts.dataset(seen))) if part)
    return _plan(seen, stage, reason, message, adapters=told, reached=(published,))


def train_without_report(seen: Seen, settings: Settings) -> Plan | None:
    """Its pod is gone and nobody heard it. Run again: it finds what it made, and only says so."""
    if seen.train is None or seen.train.phase != Phase.COMPLETE:
        return None
    if (report := seen.train.report) is not None:
        why = ": they have no room in a termination message; let its pods reach the operator's progress port" if report.cut else ""
        return _plan(seen, Stage.FAILED, "InternalError", f"{seen.train.name} reported no adapters{why}")
    return _plan(seen, Stage.TRAINING, "ReportLost", "the training pod's report is lost; it runs again", DeleteJob(seen.train))


def training(seen: Seen, settings: Settings) -> Plan | None:
    if seen.train is None:
        return None
    actions = [SetSuspend(seen.train, False)] if seen.train.suspended and not seen.train.queued else []
    stage, reason, message = facts.train_stage(seen, seen.train)
    return _plan(seen, stage, reason, message, *actions, progress_of=seen.train)


def too_little(seen: Seen, settings: Settings) -> Plan | None:
    dataset = facts.dataset(seen)
    if dataset is None or dataset.trainable:
        return None
    least = facts.least_examples(seen, settings)
    message = f"no domain has {least} examples: {facts.counts(dataset)}; record more, widen data.window or lower data.minExamplesPerDomain"
    return _plan(seen, Stage.INSUFFICIENT_DATA, "InsufficientData", message)


def another_dataset(seen: Seen, settings: Settings) -> Plan | None:
    """The spec is immutable, so this end is final."""
    wanted, found = seen.spec.data.dataset_ref, seen.referenced
    if wanted is None or found is None or facts.dataset(seen) or found.digest == wanted.digest:
        return None
    message = f"data.datasetRef.digest is {wanted.digest[:19]}..., but what was collected at {found.uri} is {found.digest[:19]}..."
    return _plan(seen, Stage.FAILED, "DatasetMismatch", f"{message}: name one of the two, in a new FineTuneJob")


def collected(seen: Seen, settings: Settings) -> Plan | None:
    dataset = facts.dataset(seen)
    if dataset is None or not seen.spec.collect_only:
        return None
    return _plan(seen, Stage.COLLECTED, "Collected", f"{facts.counts(dataset)}; read it at {dataset.uri}")


def harvest_without_report(seen: Seen, settings: Settings) -> Plan | None:
    if seen.harvest is None or seen.harvest.phase != Phase.COMPLETE or facts.dataset(seen):
        return None
    return _plan(seen, Stage.HARVESTING, "ReportLost", "the harvest pod's report is lost; it runs again", DeleteJob(seen.harvest))


def harvesting(seen: Seen, settings: Settings) -> Plan | None:
    if seen.harvest is None or facts.dataset(seen):
        return None
    actions = [SetSuspend(seen.harvest, False)] if seen.harvest.suspended and not seen.harvest.queued else []
    reason, message = facts.harvest_stage(seen, seen.harvest)
    return _plan(seen, Stage.HARVESTING, reason, message, *actions, progress_of=seen.harvest)


def already_published(seen: Seen, settings: Settings) -> Plan | None:
    """Status and Jobs are gone, but a LoRAAdapter carries what this very job published: its window ends after the job was made."""
    if seen.harvest or seen.train or seen.old.dataset:
        return None
    mine = [a for a in seen.adapters.values() if a.trained_by == seen.name and a.data_until and parse_time(a.data_until) >= seen.created]
    if not mine:
        return None
    said = "; ".join(f"{adapter.domain}: published" for adapter in sorted(mine, key=lambda a: a.domain))
    return _plan(seen, Stage.COMPLETE, "Published", said, reached=(Condition("Published", True, "Published", said),))


def disabled(seen: Seen, settings: Settings) -> Plan | None:
    if settings.enable_fine_tuning:
        return None
    return _plan(seen, Stage.PENDING, "FineTuningDisabled", "the operator runs with ENABLE_FINE_TUNING=false")


def start(seen: Seen, settings: Settings) -> Plan:
    """The harvest, or the training if there is a dataset; on a target that is ready. A Job that runs is not stopped for it."""
    if seen.target is None:
        message = f"there is no InferenceTarget {seen.spec.target_ref.name} in this namespace"
        return _plan(seen, Stage.PENDING, "TargetNotFound", message)
    if why := _awaited(seen, seen.target) or _not_loadable(seen, seen.target, settings):
        return _plan(seen, Stage.PENDING, why.reason, why.message)
    if dataset := facts.dataset(seen) or _only_named(seen):
        create = CreateTrain(dataset, seen.target.spec)
        return _plan(seen, Stage.QUEUED, "Queued", "the training pod is not running yet", create)
    window = facts.window(seen) or facts.new_window(seen, settings)
    begun = _plan(seen, Stage.HARVESTING, "Harvesting", "the harvest pod is not running yet", CreateHarvest(window, seen.target.spec))
    return replace(begun, window=window)


def _awaited(seen: Seen, target: TargetSeen) -> Trouble | None:
    name = seen.spec.target_ref.name
    if why := target.trouble:
        reason = why.reason if why.reason in facts.SAID_OF_TARGETS else "TargetNotReady"
        return Trouble(reason, f"InferenceTarget {name} is not ready ({why.reason}): {why.message}")
    known = {domain.name for domain in target.spec.domains}
    if unknown := sorted(set(seen.spec.data.domains) - known):
        return Trouble("UnknownDomain", f"InferenceTarget {name} has no domain {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    wanted, stored = seen.spec.data.dataset_ref, datasets(target.spec).uri.rstrip("/")
    if wanted and facts.dataset(seen) is None and not wanted.uri.startswith(f"{stored}/"):
        return Trouble("DatasetNotFound", f"data.datasetRef.uri: no FineTuneJob of this namespace collected it, nor is it below {stored}")
    return None


def _not_loadable(seen: Seen, target: TargetSeen, settings: Settings) -> Trouble | None:
    """What every pod would refuse when it is trained."""
    rank, most = seen.spec.lora.rank or settings.lora_rank, target.max_lora_rank
    if seen.spec.collect_only or seen.spec.publish.mode == "None" or not most or rank <= most:
        return None
    name = seen.spec.target_ref.name
    message = f"lora.rank is {rank}, but a pod of InferenceTarget {name} loads adapters of at most {most}: raise its MAX_LORA_RANK, or"
    return Trouble("RankTooLarge", f"{message} make a FineTuneJob with a lower rank")


def _only_named(seen: Seen) -> Dataset | None:
    """Of a job that is gone: the training pod finds it in the target's own store, or says that it is not there."""
    wanted = seen.spec.data.dataset_ref
    return Dataset.by_name(wanted.uri, wanted.digest) if wanted else None


def refused(decided: Plan, error: Exception, *, for_good: bool) -> Plan:
    """What becomes of a plan whose act the API server refuses. The spec is immutable: what is wrong in the object itself stays so, while a
    quota or a Role may be mended. An end stays said, though its Jobs cannot be deleted."""
    if decided.ends:
        return replace(decided, actions=())
    stage, reason = (Stage.FAILED, "InvalidSpec") if for_good else (decided.standing.stage, "NotAllowed")
    who = "the API server" if for_good else "a quota, an admission rule or a Role"
    standing = replace(decided.standing, stage=stage, reason=reason, message=f"{who} refuses it: {error}")
    return replace(decided, standing=standing, actions=())


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


def plan(seen: Seen, settings: Settings) -> Plan:
    """If no rule speaks, there is something to start."""
    for rule in RULES:
        if decided := rule(seen, settings):
            return decided
    return start(seen, settings)
