"""What a pass over one InferenceTarget finds. Pure."""

from dataclasses import dataclass

from tuneloop_contracts.stores import claim_of
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.api.kinds import Object
from tuneloop_operator.inferencetarget.claim_conflict import ClaimConflict
from tuneloop_operator.ledger.inputs import Adapter, Pod


@dataclass(frozen=True)
class Snapshot:
    """What a pass over one InferenceTarget decides on."""

    name: str
    uid: str
    namespace: str
    spec: InferenceTargetSpec
    deployment: Object | None
    pods: tuple[Pod, ...]
    """Ready pods of the Deployment."""
    older_target: str = ""
    """Another target that points at the same Deployment and is older."""
    absent_claims: tuple[str, ...] = ()
    """Claims that stores name and that do not exist."""
    claim_conflict: ClaimConflict | None = None
    config_map: Object | None = None
    adapters: tuple[Adapter, ...] = ()
    jobs: tuple[Object, ...] = ()
    """Its FineTuneJobs."""


def claims_of(spec: InferenceTargetSpec) -> list[str]:
    """Every PersistentVolumeClaim that the target's stores and base model name."""
    uris = [spec.artifacts.adapters.uri, spec.artifacts.datasets.uri if spec.artifacts.datasets else "", spec.base_model.uri]
    return sorted({claim for uri in uris if (claim := claim_of(uri))})
