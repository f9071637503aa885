"""Conditions: what people and machines read first. kstatus gives Ready, Reconciling and Stalled their meaning."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from tuneloop_operator.api.model import Model, Time

MESSAGE_LIMIT = 1024
"""Characters of a message; the API's own limit is 32768, but people read these in one terminal line or two."""

READY, RECONCILING, STALLED = "Ready", "Reconciling", "Stalled"


class ConditionStatus(Model):
    """A condition as it is stored."""

    type: Annotated[str, Field(max_length=316)]
    """What the condition is about, such as Ready."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(max_length=1024)]
    """One word for machines."""
    message: Annotated[str, Field(max_length=32768)]
    """A sentence for people, with the way to mend it."""
    observed_generation: int = 0
    """The metadata.generation that this was said of."""
    last_transition_time: Time
    """When the status last changed."""


Conditions = Annotated[
    tuple[ConditionStatus, ...], Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]})
]


@dataclass(frozen=True)
class Condition:
    """What a pass has to say of one type."""

    type: str
    status: bool | None
    """None is Unknown."""
    reason: str
    message: str = ""

    @property
    def status_text(self) -> str:
        return {True: "True", False: "False", None: "Unknown"}[self.status]


def set_conditions(old: Sequence[Mapping[str, Any]], new: Iterable[Condition], *, generation: int, now: datetime) -> list[dict[str, Any]]:
    """The list after `new` is said: by type, order kept; the transition time moves only when the status does."""
    result = {entry["type"]: dict(entry) for entry in old}
    for condition in new:
        before = result.get(condition.type)
        same = before is not None and before["status"] == condition.status_text
        result[condition.type] = {
            "type": condition.type,
            "status": condition.status_text,
            "reason": condition.reason,
            "message": condition.message[:MESSAGE_LIMIT],
            "observedGeneration": generation,
            "lastTransitionTime": before["lastTransitionTime"] if before and same else timestamp(now),
        }
    return list(result.values())


HAS_VOLUMES = "PodReadyToStartContainers"
"""Of a pod: the kubelet makes its sandbox once its volumes are there, and pulls images after that."""


def find_condition(status: Mapping[str, Any], type_: str) -> Mapping[str, Any] | None:
    return next((entry for entry in status.get("conditions", []) if entry["type"] == type_), None)


def is_true(status: Mapping[str, Any], type_: str) -> bool:
    found = find_condition(status, type_)
    return found is not None and found["status"] == "True"


@dataclass(frozen=True)
class Readiness:
    """How an object is, as Ready says it."""

    ready: bool
    reason: str
    message: str
    needs_edit: bool = False
    """Waiting cannot help: Stalled."""


def kstatus(readiness: Readiness) -> tuple[Condition, Condition, Condition]:
    """Ready, Reconciling and Stalled that agree: not ready is on its way, unless only an edit can help."""
    moves = not readiness.ready and not readiness.needs_edit
    return (
        Condition(READY, readiness.ready, readiness.reason, readiness.message),
        Condition(RECONCILING, moves, readiness.reason, readiness.message if moves else ""),
        Condition(STALLED, readiness.needs_edit, readiness.reason, readiness.message if readiness.needs_edit else ""),
    )


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds, as Kubernetes writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_time(text: str) -> bool:
    """Whether it is RFC 3339 with a zone: an annotation may hold anything."""
    try:
        return parse_time(text).tzinfo is not None
    except ValueError:
        return False


def parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
