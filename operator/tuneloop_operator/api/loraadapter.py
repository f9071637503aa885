"""LoRAAdapter: an alias on a target, and the weights it should have."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from tuneloop_contracts.names import DOMAIN_PATTERN
from tuneloop_operator.api.conditions import Conditions
from tuneloop_operator.api.model import DOMAIN_NAME_RULES, Digest, Duration, Model, NameRef, StoreUri, Time, immutable, validations


class RevisionState(StrEnum):
    """What became of a revision."""

    ACTIVE = "Active"
    CANDIDATE = "Candidate"
    SUPERSEDED = "Superseded"
    ROLLED_BACK = "RolledBack"
    REFUSED = "Refused"


class ArtifactSpec(Model):
    """Trained weights: PEFT's directory, found by its place and checked by its digest."""

    uri: StoreUri
    """The artifact's own directory, in the target's adapters store."""
    digest: Digest
    """Digest over its contents; a new one is a new revision."""


class RolloutSpec(Model):
    """How a new revision takes over."""

    strategy: Literal["Immediate"] = "Immediate"
    """Immediate: as soon as every ready pod has loaded it."""
    approval: Literal["Automatic"] = "Automatic"
    """Who lets it take over."""
    progress_deadline: Duration = "24h"
    """How long a candidate may wait for its artifact before it is refused."""


class LoRAAdapterSpec(Model):
    """Which domain this is about, and the weights that should answer it."""

    target_ref: Annotated[NameRef, Field(json_schema_extra=validations(immutable("targetRef")))]
    """The InferenceTarget."""
    domain: Annotated[
        str, Field(max_length=40, pattern=DOMAIN_PATTERN, json_schema_extra=validations(immutable("domain"), *DOMAIN_NAME_RULES))
    ]
    """A domain of the target: the model id that clients may ask for. If two claim it, the older serves."""
    artifact: ArtifactSpec | None = None
    """The weights. Left out, the base answers: so Git can own the rest of this object while jobs own the artifact."""
    rollout: RolloutSpec = RolloutSpec()
    """How a new revision takes over."""
    revision_history_limit: Annotated[int, Field(ge=1, le=50)] = 5
    """How many revisions the status remembers."""
    suspend: bool = False
    """Whether what serves stays as it is, whatever the spec says."""


class FailedPod(Model):
    """A pod that refused a revision."""

    pod: str
    """Name of the pod."""
    reason: str
    """Why, in one word."""
    message: str = ""
    """Why, in a sentence."""


class PodsStatus(Model):
    """How many of the target's pods hold the newest wanted revision."""

    desired: int
    """Ready pods of the target."""
    loaded: int
    """Those that hold it."""
    failed_count: int
    """Those that refused it."""
    failed: tuple[FailedPod, ...] = ()
    """The first 10 that refused it."""


class RevisionStatus(Model):
    """Weights that this alias had, has, or will have."""

    name: str
    """`<domain>-v<N>-<digest8>`, never given to other weights."""
    digest: str
    """Digest over the contents."""
    uri: str
    """The artifact's own directory."""
    fine_tune_job: str = ""
    """The FineTuneJob that trained it, if one did."""
    state: RevisionState
    """What became of it."""
    since: Time
    """Since when."""
    reason: str = ""
    """Why it was refused or rolled back."""


class LoRAAdapterStatus(Model):
    """What serves, and what is on its way."""

    observed_generation: int = 0
    """The metadata.generation that this status is about."""
    active: str | None = None
    """The revision that answers the domain."""
    candidate: str | None = None
    """The revision that is to take over."""
    weight: int | None = None
    """Percent of the domain's requests that the candidate answers."""
    pods: PodsStatus | None = None
    """How many pods hold the newest wanted revision."""
    rolled_back_to: str | None = None
    """Echo of the annotation tuneloop.dev/rollback-to that was last obeyed."""
    revisions: tuple[RevisionStatus, ...] = ()
    """Newest first. Rebuilt from the target's ConfigMap if it is lost."""
    conditions: Conditions = ()
    """Ready, Reconciling and Stalled as kstatus reads them; Available, Progressing and Degraded of the domain."""
