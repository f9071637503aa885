"""What a pass over one FineTuneJob finds. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tuneloop_contracts.dataset import Dataset
from tuneloop_contracts.names import DATA_UNTIL_ANNOTATION, TRAINED_BY_ANNOTATION, adapter_name
from tuneloop_contracts.progress import ProgressBody
from tuneloop_operator.api.conditions import STALLED, is_time, is_true, parse_time
from tuneloop_operator.api.finetunejob import FineTuneJobSpec, FineTuneJobStatus
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.api.kinds import Object
from tuneloop_operator.api.loraadapter import LoRAAdapterStatus, RevisionState, RevisionStatus
from tuneloop_operator.api.model import InvalidSpec
from tuneloop_operator.finetunejob.jobs import JobSnapshot, Trouble

MANAGER = "tuneloop-finetunejob"
"""Field manager of the artifacts that jobs publish."""


@dataclass(frozen=True)
class TargetSnapshot:
    """The job's target."""

    spec: InferenceTargetSpec
    trouble: Trouble | None = None
    """Why it is not ready."""
    base_digest: str = ""
    uid: str = ""
    max_lora_rank: int = 0
    """Of an adapter that its pods load; 0: not known."""


@dataclass(frozen=True)
class AdapterSnapshot:
    """A LoRAAdapter of the target."""

    name: str
    target: str
    domain: str
    digest: str = ""
    """Of its artifact; "" without one."""
    trained_by: str = ""
    data_until: str = ""
    managed_by: str = ""
    """Another field manager that owns its artifact."""
    created: str = ""
    held: bool = False
    """It was suspended, or waits for an edit: it stays as it is."""
    revisions: tuple[RevisionStatus, ...] = ()

    def is_newer(self, job: str, until: str) -> bool:
        """Whether its data ends later than that of this job; or as late, and is another job's."""
        if not self.data_until:
            return False
        there, here = parse_time(self.data_until), parse_time(until)
        return there > here or (there == here and self.trained_by != job)

    @property
    def active(self) -> RevisionStatus | None:
        return next((revision for revision in self.revisions if revision.state == RevisionState.ACTIVE), None)

    @property
    def is_changing(self) -> bool:
        """Whether something else than now is about to answer: a candidate, or an artifact that nobody has looked at yet."""
        if self.held:
            return False
        waits = any(revision.state == RevisionState.CANDIDATE for revision in self.revisions)
        return waits or (bool(self.digest) and all(revision.digest != self.digest for revision in self.revisions))


@dataclass(frozen=True)
class Snapshot:
    """What a pass over one FineTuneJob decides on."""

    name: str
    namespace: str
    uid: str
    created: datetime
    spec: FineTuneJobSpec
    now: datetime
    old: FineTuneJobStatus = field(default_factory=FineTuneJobStatus)
    """The status as it was found; lost, it is rebuilt from the rest."""
    target: TargetSnapshot | None = None
    harvest: JobSnapshot | None = None
    train: JobSnapshot | None = None
    harvest_progress: ProgressBody | None = None
    train_progress: ProgressBody | None = None
    adapters: Mapping[str, AdapterSnapshot] = field(default_factory=dict)
    """By name."""
    rival: str = ""
    """Another FineTuneJob that trains for the same target and must end before this one begins to."""
    referenced: Dataset | None = None
    """What a job of this namespace collected at the URI that data.datasetRef names; its digest may be another."""

    def published_to(self, domain: str) -> AdapterSnapshot | None:
        """What answers for the domain, whoever made it and called it so: the oldest that claims it. Else whatever has the name of one that
        this job would make."""
        claims = [adapter for adapter in self.adapters.values() if not self.is_another(adapter, domain)]
        named = self.adapters.get(adapter_name(self.spec.target_ref.name, domain))
        return min(claims, key=lambda adapter: (adapter.created, adapter.name), default=named)

    def is_another(self, adapter: AdapterSnapshot, domain: str) -> bool:
        """About another target or domain, though it may have the name of ours: `a-b` and `c` make the same one as `a` and `b-c`."""
        return (adapter.target, adapter.domain) != (self.spec.target_ref.name, domain)


def read_adapter(body: Object) -> AdapterSnapshot:
    meta, artifact = body["metadata"], body["spec"].get("artifact", {})
    try:
        revisions = LoRAAdapterStatus.parse(body.get("status", {}), "status").revisions
    except InvalidSpec:
        revisions = ()
    until = meta.get("annotations", {}).get(DATA_UNTIL_ANNOTATION, "")
    owners = [entry["manager"] for entry in meta.get("managedFields", []) if "f:artifact" in entry.get("fieldsV1", {}).get("f:spec", {})]
    return AdapterSnapshot(
        name=meta["name"],
        target=body["spec"]["targetRef"]["name"],
        domain=body["spec"]["domain"],
        created=meta["creationTimestamp"],
        digest=artifact.get("digest", ""),
        trained_by=meta.get("annotations", {}).get(TRAINED_BY_ANNOTATION, ""),
        data_until=until if is_time(until) else "",
        managed_by=next((owner for owner in owners if owner != MANAGER), ""),
        held=body["spec"].get("suspend", False) or is_true(body.get("status", {}), STALLED),
        revisions=revisions,
    )
