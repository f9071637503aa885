"""Server -> operator: what a pod really serves, on its read-only status port."""

from enum import StrEnum

from pydantic import Field

from tuneloop_contracts.model import Wire

STATUS_PORT = 8081
STATUS_PORT_NAME = "tuneloop-status"
"""The port of an adopted Deployment's container is found by this name."""
ADAPTERS_PATH = "/status/adapters"
"""GET, `?seen=<resourceVersion>&wait=<seconds>s`: answers when there is something newer than `seen`, or after `wait`."""
RECORDED_PATH = "/status/recorded"


class AdapterState(StrEnum):
    LOADING = "Loading"
    LOADED = "Loaded"
    FAILED = "Failed"
    DRAINING = "Draining"


class LoadFault(StrEnum):
    """Why a pod refused an adapter. All but ARTIFACT_NOT_FOUND are final for that digest."""

    ARTIFACT_NOT_FOUND = "ArtifactNotFound"
    DIGEST_MISMATCH = "DigestMismatch"
    BASE_MISMATCH = "BaseMismatch"
    RANK_TOO_LARGE = "RankTooLarge"
    UNSAFE_FORMAT = "UnsafeFormat"
    UNSUPPORTED_CONFIG = "UnsupportedConfig"
    CORRUPT_WEIGHTS = "CorruptWeights"
    NO_EFFECT = "NoEffect"
    LOAD_FAILED = "LoadFailed"


class Probe(Wire):
    max_logit_delta: float
    """Largest difference to the base's logits on a fixed prompt; 0 would mean that the adapter does nothing."""


class AdapterReport(Wire):
    name: str
    digest: str
    state: AdapterState
    reason: LoadFault | None = None
    message: str = ""
    probe: Probe | None = None


class RedisState(StrEnum):
    OK = "Ok"
    OFF = "Off"
    UNREACHABLE = "Unreachable"
    UNAUTHORIZED = "Unauthorized"
    UNSAFE_EVICTION = "UnsafeEviction"


class PodReport(Wire):
    """The answer of ADAPTERS_PATH."""

    resource_version: str
    """Of the manifest that this pod follows; "" before it has seen one."""
    revision: int = 0
    """Grows with every change of this report: hand it back as `seen` to wait for the next."""
    base_model: str
    base_digest: str
    max_lora_rank: int = 0
    """Adapters of a higher rank are refused; 0: not said, by a server of an earlier version."""
    adapters: tuple[AdapterReport, ...] = ()
    redis: RedisState = RedisState.OFF


class RecordedReport(Wire):
    """The answer of RECORDED_PATH: records so far by domain."""

    recorded: dict[str, int] = Field(default_factory=dict)
    redis: RedisState = RedisState.OFF
