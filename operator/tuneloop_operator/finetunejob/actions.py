"""What a pass over a FineTuneJob may do to the world: a plan names them, act carries them out."""

from dataclasses import dataclass

from tuneloop_contracts.dataset import Dataset
from tuneloop_contracts.progress import TrainedAdapter
from tuneloop_operator.api.finetunejob import WindowStatus
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.finetunejob.jobs import JobSnapshot


@dataclass(frozen=True)
class CreateHarvest:
    window: WindowStatus
    target: InferenceTargetSpec


@dataclass(frozen=True)
class CreateTrain:
    dataset: Dataset
    target: InferenceTargetSpec


@dataclass(frozen=True)
class SetSuspend:
    job: JobSnapshot
    suspend: bool


@dataclass(frozen=True)
class DeleteJob:
    job: JobSnapshot


@dataclass(frozen=True)
class Publish:
    adapter: TrainedAdapter
    until: str


Action = CreateHarvest | CreateTrain | SetSuspend | DeleteJob | Publish
