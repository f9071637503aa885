"""The kinds of object that the operator reads or writes, as the API server names them."""

from dataclasses import dataclass
from typing import Any

from tuneloop_contracts.names import GROUP, VERSION

Object = dict[str, Any]
"""An object as the API server writes it."""


@dataclass(frozen=True)
class Kind:
    group: str
    """Empty for the core group."""
    version: str
    name: str
    plural: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"/namespaces/{namespace}" if namespace else ""
        return "/".join(part for part in (f"{root}{within}/{self.plural}", name, subresource) if part)


TARGETS = Kind(GROUP, VERSION, "InferenceTarget", "inferencetargets")
FINE_TUNE_JOBS = Kind(GROUP, VERSION, "FineTuneJob", "finetunejobs")
ADAPTERS = Kind(GROUP, VERSION, "LoRAAdapter", "loraadapters")
JOBS = Kind("batch", "v1", "Job", "jobs")
PODS = Kind("", "v1", "Pod", "pods")
DEPLOYMENTS = Kind("apps", "v1", "Deployment", "deployments")
CONFIG_MAPS = Kind("", "v1", "ConfigMap", "configmaps")
CLAIMS = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
SERVICES = Kind("", "v1", "Service", "services")
LEASES = Kind("coordination.k8s.io", "v1", "Lease", "leases")
TOKEN_REVIEWS = Kind("authentication.k8s.io", "v1", "TokenReview", "tokenreviews")

WATCHED = (TARGETS, FINE_TUNE_JOBS, ADAPTERS, JOBS, PODS, DEPLOYMENTS, CONFIG_MAPS)
