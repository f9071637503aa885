"""FineTuneJob: one turn of the loop. Runs to completion."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from tuneloop_contracts.dataset import Dataset
from tuneloop_contracts.jobs import GateMode, Precision, Quantization
from tuneloop_contracts.progress import TrainedAdapter
from tuneloop_operator.api.conditions import Conditions
from tuneloop_operator.api.data import DataSpec
from tuneloop_operator.api.model import Model, NameRef, Rule, Time, validations
from tuneloop_operator.api.pods import PodsSpec

MUTABLE = ("suspend", "ttlSecondsAfterFinished")

PODS_NAME_RULE: Rule = {
    "rule": "(self.spec.pods.nodes == 1 && self.spec.data.parallelism == 1) || !self.metadata.name.contains('.')",
    "message": "metadata.name may hold no dot where spec.pods.nodes or spec.data.parallelism is above 1: pods that work together are "
    "called by it; use - instead",
}


class Stage(StrEnum):
    """Where a job is; each has its row in stages.STAGES."""

    PENDING = "Pending"
    HARVESTING = "Harvesting"
    QUEUED = "Queued"
    TRAINING = "Training"
    EVALUATING = "Evaluating"
    PUBLISHING = "Publishing"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    INSUFFICIENT_DATA = "InsufficientData"
    COLLECTED = "Collected"
    REJECTED = "Rejected"
    INCONCLUSIVE = "Inconclusive"
    FAILED = "Failed"


class LoraSpec(Model):
    """Shape of the adapters."""

    rank: Annotated[int, Field(ge=1, le=512)] | None = None
    """Width of the low-rank update: higher learns more and costs more. Default: the operator's LORA_RANK."""
    alpha: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Scale of the update, as alpha/rank. Default: the operator's LORA_ALPHA."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the update's inputs dropped while training."""
    target_modules: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128)], ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = ()
    """Layers to adapt, by name; empty is all linear layers."""


class TrainingSpec(Model):
    """How the adapters are trained."""

    epochs: Annotated[int, Field(ge=1, le=100)] | None = None
    """Passes over the data. Default: the operator's TRAINING_EPOCHS."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Peak learning rate, a number such as 1e-4. Default: the operator's LEARNING_RATE."""
    max_sequence_length: Annotated[int, Field(ge=16, le=131072)] = 2048
    """Tokens of one row; longer conversations are cut."""
    tokens_per_step: Annotated[int, Field(ge=16, le=4194304)] = 8192
    """Tokens per optimiser step."""
    precision: Precision = "Auto"
    """Auto: bf16 where the device is fast at it, float32 elsewhere."""
    quantization: Quantization = "None"
    """NF4: the frozen base in 4 bits while it trains (QLoRA), for a base that does not fit otherwise; slower. Candidates are judged on the
    base as it serves. Wants an image with bitsandbytes: pods.image."""
    seed: Annotated[int, Field(ge=0, le=2147483647)] = 0
    """Seed of the split, the order and the initial weights."""


class EvaluationSpec(Model):
    """The gate between training and serving."""

    held_out: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """Share of the examples that is kept for judging."""
    min_held_out: Annotated[int, Field(ge=1, le=100000)] = 20
    """Fewest held-out examples on which a verdict is given."""
    gate: GateMode = "Enforce"
    """Enforce: only candidates that win are published. Report: all are, with the verdict said."""
    min_improvement: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Nats per supervised token that a candidate must win over what serves, paired by example."""
    max_forgetting: Annotated[float, Field(ge=0, le=100)] = 0.02
    """Nats per supervised token that a candidate may lose on other domains."""


class RolloutSeed(Model):
    """The rollout of a LoRAAdapter that this job makes."""

    strategy: Literal["Immediate"] = "Immediate"
    """How a new revision takes over."""


class PublishSpec(Model):
    """What becomes of adapters that pass the gate."""

    mode: Literal["Update", "None"] = "Update"
    """Update: set the artifact of the domain's LoRAAdapter; where there is none, `<target>-<domain>` is made. None: leave them in the
    store; no LoRAAdapter is written."""
    rollout: RolloutSeed = RolloutSeed()
    """Only for a LoRAAdapter that does not exist yet."""


def immutability() -> list[Rule]:
    """One rule a field, so that the message names it; `has` on both sides, or a status patch would be refused."""
    fields = [field.alias or name for name, field in FineTuneJobSpec.model_fields.items()]
    return [
        {
            "rule": f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
            "message": f"spec.{field} cannot be changed: a FineTuneJob is one run; make a new one",
        }
        for field in fields
        if field not in MUTABLE
    ]


class FineTuneJobSpec(Model):
    """One turn of the loop. Immutable, but for suspend and ttlSecondsAfterFinished."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.update(validations(*immutability())))

    target_ref: NameRef
    """The InferenceTarget."""
    data: DataSpec = DataSpec()
    """Which recorded interactions to train on."""
    lora: LoraSpec = LoraSpec()
    """Shape of the adapters."""
    training: TrainingSpec = TrainingSpec()
    """How the adapters are trained."""
    evaluation: EvaluationSpec = EvaluationSpec()
    """The gate between training and serving."""
    publish: PublishSpec = PublishSpec()
    """What becomes of adapters that pass the gate."""
    pods: PodsSpec = PodsSpec()
    """Where and how the pods run."""
    collect_only: bool = False
    """Stop after the harvest: the dataset can be read, and trained later by data.datasetRef."""
    suspend: bool = False
    """Stops the pods; what is done is kept."""
    active_deadline_seconds: Annotated[int, Field(ge=1, le=31536000)] = 86400
    """Seconds that each Job may be active; time in a Kueue queue or suspended does not count."""
    backoff_limit: Annotated[int, Field(ge=0, le=20)] = 2
    """Retries of each Job. A pod that says its input needs an edit (exit 2) is never retried."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=31536000)] | None = None
    """When to delete the Jobs and pods after the end; this object stays. Default: never."""


class ProgressStatus(Model):
    """How far the pod at work is."""

    percent: int | None = None
    """0 to 100, of the stage."""
    estimated_remaining_seconds: int | None = None
    """Seconds until the stage ends, as the pod estimates."""
    loss: str | None = None
    """Training loss, in nats per supervised token."""
    tokens_per_second: str | None = None
    """Speed of training."""
    updated_at: Time | None = None
    """When this was last written; at most every 5 seconds."""


class WindowStatus(Model):
    """The window of the data; fixed when the harvest begins, so that a retry reads the same."""

    from_: Annotated[Time, Field(alias="from")]
    """Start."""
    to: Time
    """End."""


class AdapterStatus(TrainedAdapter):
    """A trained adapter, and what became of it."""

    published: str = ""
    """Published, Superseded, ManagedElsewhere, NameTaken, Rejected, Inconclusive or NotAsked."""
    revision: str | None = None
    """The revision that the LoRAAdapter made of it."""


class FineTuneJobStatus(Model):
    """What has been reached."""

    observed_generation: int = 0
    """The metadata.generation that this status is about."""
    stage: Stage | None = None
    """Where the job is."""
    progress: ProgressStatus | None = None
    """How far the pod at work is."""
    window: WindowStatus | None = None
    """The window of the data."""
    dataset: Dataset | None = None
    """What was harvested."""
    adapters: tuple[AdapterStatus, ...] = ()
    """What was trained."""
    adapter_domains: str | None = None
    """The domains of the adapters, for `kubectl get`."""
    run_url: str | None = None
    """Where a run tracker, chosen by pods.env, shows the training."""
    completed_at: Time | None = None
    """When the job ended."""
    conditions: Conditions = ()
    """Complete=True ends `kubectl wait` on success, Failed=True on failure."""
