"""InferenceTarget: one inference Deployment, and all that belongs to it."""

from typing import Annotated

from pydantic import ConfigDict, Field

from tuneloop_contracts.domains import DEFAULT_DOMAINS, Domain
from tuneloop_contracts.jobs import RedisMode
from tuneloop_operator.api.conditions import Conditions
from tuneloop_operator.api.model import DOMAIN_NAME_RULES, NO_WAY_UP, Model, NameRef, StoreUri, Time, immutable, validations

ARTIFACT_STORE = {
    "rule": "self.uri.startsWith('pvc://') || self.uri.startsWith('s3://')",
    "message": "uri must be pvc://claim/path or s3://bucket/path: a file:// of one pod is not seen by another",
}
_BASE_URI = (
    r"^(file:///[A-Za-z0-9._/-]+|pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[A-Za-z0-9._-]+)*/?"
    r"|hf://[A-Za-z0-9._-]+/[A-Za-z0-9._-]+(@[A-Za-z0-9._-]+)?|s3://[a-z0-9][a-z0-9.-]*(/[A-Za-z0-9._=-]+)*/?)$"
)
_DOMAIN_RULES = tuple({**rule, "rule": f"self.all(d, {rule['rule'].replace('self', 'd.name')})"} for rule in DOMAIN_NAME_RULES)
_SPEC_RULES = (
    {
        "rule": "!has(self.domains) || self.domains.all(d, d.name != self.baseModel.name)",
        "message": "no domain may be named like the base model: clients ask for both by name",
    },
)


class BaseModelSpec(Model):
    """The model that every adapter of this target stands on."""

    name: Annotated[str, Field(min_length=1, max_length=96, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]
    """The model id that clients ask for; the server's MODEL_NAME must be the same."""
    uri: Annotated[str, Field(max_length=512, pattern=_BASE_URI, json_schema_extra=validations(NO_WAY_UP))]
    """Where a training pod finds it: file:///path (in the image), pvc://claim/path, hf://org/model@revision or s3://bucket/path."""
    secret_ref: NameRef | None = None
    """Secret whose keys become environment variables of the training pod, for a private s3:// or hf:// model."""


class RedisSpec(Model):
    """The Redis that the server records to and the harvest reads from."""

    secret_ref: NameRef
    """Secret with the key `url`, as in redis://:password@host:6379/0. The operator itself never reads it."""
    mode: RedisMode = RedisMode.STANDALONE
    """How this Redis is deployed. Sentinel: the url is redis://:password@sentinel:26379,sentinel:26379/service. Cluster: any node's."""


class Store(Model):
    """A place for artifacts."""

    model_config = ConfigDict(json_schema_extra=validations(ARTIFACT_STORE))

    uri: StoreUri
    """pvc://claim/path (ReadWriteMany beyond one node) or s3://bucket/path."""
    secret_ref: NameRef | None = None
    """Secret whose keys become environment variables of the pods that use the store, such as AWS_ACCESS_KEY_ID."""


class ArtifactsSpec(Model):
    """Where trained adapters and training data are kept."""

    adapters: Store
    """Holds trained adapters; server pods read it."""
    datasets: Store | None = None
    """Holds training text, which server pods need not see. Default: `_datasets` below the store of the adapters."""
    archive: bool = False
    """Whether each harvest seals the record of its window into compressed files below `_archive` in the datasets' store: then it reads
    from Redis only what is new, and days outlive Redis. They hold what users wrote, unredacted, until you or `forget` delete it."""


class RoutingSpec(Model):
    """How requests find an adapter."""

    base_name_by_content: bool = False
    """Whether clients that ask for the base model by name are routed by content too."""


class InferenceTargetSpec(Model):
    """What several jobs and adapters would otherwise repeat, and what the server itself must know."""

    model_config = ConfigDict(json_schema_extra=validations(*_SPEC_RULES))

    deployment_ref: Annotated[NameRef, Field(json_schema_extra=validations(immutable("deploymentRef")))]
    """The inference Deployment; one target per Deployment."""
    base_model: BaseModelSpec
    """The base model that this Deployment serves."""
    redis: RedisSpec
    """Where interactions are recorded."""
    artifacts: ArtifactsSpec
    """Where datasets and adapters are kept."""
    domains: Annotated[
        tuple[Domain, ...],
        Field(
            min_length=1,
            max_length=50,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], **validations(*_DOMAIN_RULES)},
        ),
    ] = DEFAULT_DOMAINS
    """Kinds of question, each with an adapter of its own. Default: technical, support, legal and general, in English and Portuguese."""
    routing: RoutingSpec = RoutingSpec()
    """How requests find an adapter."""
    max_loaded_adapters: Annotated[int, Field(ge=1, le=256)] = 8
    """How many adapters a pod may hold at once: what serves, candidates, and revisions to fall back to."""


class RouteStatus(Model):
    """A domain and the revision that answers it."""

    domain: str
    """The domain."""
    revision: str
    """The revision that answers it."""
    weight: int
    """Percent of the domain's requests."""


class ReplicasStatus(Model):
    """Pods of the Deployment."""

    desired: int
    """Asked for by the Deployment."""
    ready: int
    """Ready to serve."""
    reporting: int
    """Ready, and answering on the status port."""


class InferenceTargetStatus(Model):
    """What was seen of the Deployment."""

    observed_generation: int = 0
    """The metadata.generation that this status is about."""
    base_digest: str | None = None
    """Content digest of the base model that the pods have loaded."""
    max_lora_rank: int | None = None
    """Highest rank of an adapter that every pod loads."""
    replicas: ReplicasStatus | None = None
    """Pods of the Deployment."""
    routes: tuple[RouteStatus, ...] = ()
    """Which revision answers which domain."""
    recorded: dict[str, int] = Field(default_factory=dict)
    """Interactions recorded so far, by domain."""
    last_job_time: Time | None = None
    """When the newest FineTuneJob of this target was made, also after it was deleted: AUTO_TRAINING_INTERVAL counts from it."""
    conditions: Conditions = ()
    """Ready, Reconciling and Stalled as kstatus reads them; the message says how to mend what is wrong."""
