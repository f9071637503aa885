"""What moves revisions: the LoRAAdapters of a target, and what its ready pods report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tuneloop_contracts.names import DATA_UNTIL_ANNOTATION, ROLLBACK_ANNOTATION, TRAINED_BY_ANNOTATION
from tuneloop_contracts.pods import AdapterReport, PodReport
from tuneloop_operator.api.conditions import is_time
from tuneloop_operator.api.loraadapter import LoRAAdapterSpec, LoRAAdapterStatus
from tuneloop_operator.api.model import InvalidSpec


@dataclass(frozen=True)
class Adapter:
    """A LoRAAdapter."""

    name: str
    uid: str
    created: str
    spec: LoRAAdapterSpec
    annotations: Mapping[str, str] = field(default_factory=dict)
    status: LoRAAdapterStatus = field(default_factory=LoRAAdapterStatus)

    @property
    def rollback_to(self) -> str:
        return self.annotations.get(ROLLBACK_ANNOTATION, "")

    @property
    def data_until(self) -> str:
        said = self.annotations.get(DATA_UNTIL_ANNOTATION, "")
        return said if is_time(said) else ""

    @property
    def trained_by(self) -> str:
        return self.annotations.get(TRAINED_BY_ANNOTATION, "")


def read_adapter(body: Mapping[str, Any]) -> Adapter | None:
    """None for one that is being deleted or that an older or newer schema made unreadable."""
    meta = body["metadata"]
    if "deletionTimestamp" in meta:
        return None
    try:
        spec = LoRAAdapterSpec.parse(body["spec"])
    except InvalidSpec:
        return None
    try:
        status = LoRAAdapterStatus.parse(body.get("status", {}), "status")
    except InvalidSpec:
        status = LoRAAdapterStatus()
    return Adapter(meta["name"], meta["uid"], meta["creationTimestamp"], spec, meta.get("annotations", {}), status)


@dataclass(frozen=True)
class Pod:
    """A ready pod of the target."""

    name: str
    report: PodReport | None = None
    """None: it does not answer on the status port."""
    fault: str = ""
    """Why there is no report."""

    def says(self, name: str, digest: str) -> AdapterReport | None:
        """What it reports of a revision; the same name with other weights does not count."""
        adapters = self.report.adapters if self.report else ()
        return next((adapter for adapter in adapters if adapter.name == name and adapter.digest == digest), None)
