"""What a FineTuneJob begins, the harvest or the training, and what it waits for before. Pure."""

from dataclasses import replace

from tuneloop_contracts.dataset import Dataset
from tuneloop_operator.api.finetunejob import Stage
from tuneloop_operator.finetunejob import facts
from tuneloop_operator.finetunejob.actions import CreateHarvest, CreateTrain
from tuneloop_operator.finetunejob.decision import Plan, decided
from tuneloop_operator.finetunejob.jobs import Trouble
from tuneloop_operator.finetunejob.manifests import datasets
from tuneloop_operator.finetunejob.snapshot import Snapshot, TargetSnapshot
from tuneloop_operator.settings import Settings


def disabled(seen: Snapshot, settings: Settings) -> Plan | None:
    if settings.enable_fine_tuning:
        return None
    return decided(seen, Stage.PENDING, "FineTuningDisabled", "the operator runs with ENABLE_FINE_TUNING=false")


def begin(seen: Snapshot, settings: Settings) -> Plan:
    """The harvest, or the training if there is a dataset; on a target that is ready. A Job that runs is not stopped for it."""
    if seen.target is None:
        message = f"there is no InferenceTarget {seen.spec.target_ref.name} in this namespace"
        return decided(seen, Stage.PENDING, "TargetNotFound", message)
    if why := _awaited(seen, seen.target) or _not_loadable(seen, seen.target, settings):
        return decided(seen, Stage.PENDING, why.reason, why.message)
    if dataset := facts.dataset(seen) or _only_named(seen):
        create = CreateTrain(dataset, seen.target.spec)
        return another_first(seen) or decided(seen, Stage.QUEUED, "Queued", "the training pod is not running yet", create)
    window = facts.window(seen) or facts.new_window(seen, settings)
    begun = decided(seen, Stage.HARVESTING, "Harvesting", "the harvest pod is not running yet", CreateHarvest(window, seen.target.spec))
    return replace(begun, window=window)


def another_first(seen: Snapshot) -> Plan | None:
    """A candidate is judged by what serves when its training begins, so nothing else may be about to serve by then."""
    dataset = facts.dataset(seen)
    published = [seen.published_to(domain) for domain in (dataset.trainable if dataset else ())]
    changing = next((f"LoRAAdapter {one.name} has taken up its artifact" for one in published if one and one.is_changing), "")
    waits_for = f"FineTuneJob {seen.rival} has trained for the same target" if seen.rival else changing
    if not waits_for:
        return None
    message = f"waits until {waits_for}: a candidate is judged by what serves when its training begins"
    return decided(seen, Stage.QUEUED, "AnotherFirst", message)


def _awaited(seen: Snapshot, target: TargetSnapshot) -> Trouble | None:
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


def _not_loadable(seen: Snapshot, target: TargetSnapshot, settings: Settings) -> Trouble | None:
    """What every pod would refuse when it is trained."""
    rank, most = seen.spec.lora.rank or settings.lora_rank, target.max_lora_rank
    if seen.spec.collect_only or seen.spec.publish.mode == "None" or not most or rank <= most:
        return None
    name = seen.spec.target_ref.name
    message = f"lora.rank is {rank}, but a pod of InferenceTarget {name} loads adapters of at most {most}: raise its MAX_LORA_RANK, or"
    return Trouble("RankTooLarge", f"{message} make a FineTuneJob with a lower rank")


def _only_named(seen: Snapshot) -> Dataset | None:
    """Of a job that is gone: the training pod finds it in the target's own store, or says that it is not there."""
    wanted = seen.spec.data.dataset_ref
    return Dataset.by_name(wanted.uri, wanted.digest) if wanted else None
