"""What a FineTuneJob may say of its pods. Nothing in here can break the `restricted` Pod Security level."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from tuneloop_contracts.jobs import CONFIG_ENV, INDEX_ENV, MASTER_ENV, PODS_ENV, PROGRESS_TOKEN_ENV, PROGRESS_URL_ENV, REDIS_URL_ENV
from tuneloop_contracts.names import GROUP
from tuneloop_operator.api.model import Model, NameRef, validations

RESERVED_ENV = (CONFIG_ENV, REDIS_URL_ENV, PROGRESS_URL_ENV, PROGRESS_TOKEN_ENV, MASTER_ENV, INDEX_ENV, PODS_ENV, "HOME")

_ENV_RULE = {
    "rule": f"self.all(e, !(e.name in [{', '.join(repr(name) for name in RESERVED_ENV)}]))",
    "message": f"these variables are set by the operator: {', '.join(RESERVED_ENV)}",
}
_LABEL_RULE = {
    "rule": f"self.all(k, !k.startsWith('{GROUP}/') && size(k) <= 316)",
    "message": f"labels below {GROUP}/ are set by the operator",
}
_VALUE_RULE = {"rule": "!(has(self.value) && has(self.valueFrom))", "message": "set value or valueFrom, not both"}
_SOURCE_RULE = {
    "rule": "has(self.secretKeyRef) != has(self.configMapKeyRef)",
    "message": "set exactly one of secretKeyRef and configMapKeyRef",
}

Word = Annotated[str, Field(max_length=253)]
LabelValue = Annotated[str, Field(max_length=63)]
_QUANTITY = {
    "x-kubernetes-int-or-string": True,
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "pattern": r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+))?$",
}
"""As Kubernetes' own kinds have it; an integer's form is not looked at."""
Quantity = Annotated[str | int, Field(json_schema_extra=_QUANTITY)]
Quantities = Annotated[dict[str, Quantity], Field(max_length=20)]


class Resources(Model):
    """Kubernetes' own resource requirements."""

    requests: Quantities = Field(default_factory=dict)
    """What the pod must get, such as cpu and memory."""
    limits: Quantities = Field(default_factory=dict)
    """What the pod may use. GPUs come from `pods.gpus`."""


class Toleration(Model):
    """Kubernetes' own toleration."""

    key: Word = ""
    """Taint key; empty with operator Exists tolerates all."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """How key and value are compared."""
    value: Word = ""
    """Taint value."""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    """Taint effect; empty is any."""
    toleration_seconds: int | None = None
    """How long NoExecute is tolerated."""


class KeyRef(Model):
    """One key of a Secret or ConfigMap."""

    name: Word
    """Name of the Secret or ConfigMap."""
    key: Word
    """The key in it."""
    optional: bool = False
    """Whether the pod may start without it."""


class EnvSource(Model):
    """Where a variable's value comes from."""

    model_config = ConfigDict(json_schema_extra=validations(_SOURCE_RULE))

    secret_key_ref: KeyRef | None = None
    """A key of a Secret."""
    config_map_key_ref: KeyRef | None = None
    """A key of a ConfigMap."""


class EnvVar(Model):
    """An environment variable."""

    model_config = ConfigDict(json_schema_extra=validations(_VALUE_RULE))

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """Name of the variable."""
    value: Annotated[str, Field(max_length=4096)] | None = None
    """A literal value. No secret belongs here."""
    value_from: EnvSource | None = None
    """A value from a Secret or ConfigMap."""


AsInAPod = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
"""Left to the API server, which looks at it when the Job is made."""


class Affinity(Model):
    """Kubernetes' own affinity."""

    node_affinity: AsInAPod | None = None
    """Which nodes the pod may or should run on."""
    pod_affinity: AsInAPod | None = None
    """Which pods it should be near."""
    pod_anti_affinity: AsInAPod | None = None
    """Which pods it should be away from."""


class PodsSpec(Model):
    """Where and how the pods run. What names hardware is for the training pod only: the harvest needs a little CPU."""

    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    """GPUs (nvidia.com/gpu) of a training pod, each with a process of its own; 0 trains on the CPU."""
    nodes: Annotated[int, Field(ge=1, le=64)] = 1
    """Pods that train together, each with `gpus`: every step is divided among all their GPUs. Stores must be reachable from each."""
    image: Annotated[str, Field(max_length=512)] = ""
    """Image of the training pod; empty is the operator's own."""
    resources: Resources = Resources()
    """Requests and limits of the training pod."""
    node_selector: Annotated[dict[str, Word], Field(max_length=32)] = Field(default_factory=dict)
    """Node labels that the training pod needs."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = ()
    """Taints that the training pod tolerates."""
    affinity: Affinity = Affinity()
    """Kubernetes' own affinity of the training pod."""
    priority_class_name: Word = ""
    """PriorityClass of both pods."""
    env: Annotated[
        tuple[EnvVar, ...],
        Field(
            max_length=64,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], **validations(_ENV_RULE)},
        ),
    ] = ()
    """More environment variables of both pods."""
    image_pull_secrets: Annotated[tuple[NameRef, ...], Field(max_length=16)] = ()
    """Secrets for pulling the images, beside the operator's IMAGE_PULL_SECRETS."""
    labels: Annotated[dict[str, LabelValue], Field(max_length=32, json_schema_extra=validations(_LABEL_RULE))] = Field(default_factory=dict)
    """More labels of the Jobs and pods, such as kueue.x-k8s.io/queue-name."""
