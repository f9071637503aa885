"""Operator -> harvest and train: one JSON document in a Job's environment. Credentials come apart, by secretKeyRef."""

from enum import StrEnum
from typing import Literal

from tuneloop_contracts.dataset import Dataset
from tuneloop_contracts.domains import Domain
from tuneloop_contracts.model import Wire

CONFIG_ENV = "TUNELOOP_CONFIG"
REDIS_URL_ENV = "REDIS_URL"
PROGRESS_URL_ENV = "KUBEFLOW_TRAINER_SERVER_URL"
"""The names that transformers' KubeflowCallback reads, so that a training image of one's own reports too."""
PROGRESS_TOKEN_ENV = "KUBEFLOW_TRAINER_SERVER_TOKEN"  # noqa: S105 - a path, not a token
PROGRESS_AUDIENCE = "tuneloop"
MASTER_ENV = "MASTER_ADDR"
"""Of a training over several pods: the first one's name. torch's own word, as MASTER_PORT's number is."""
MASTER_PORT = 29500
INDEX_ENV = "JOB_COMPLETION_INDEX"
"""Which pod of an Indexed Job this is; set by Kubernetes."""
PODS_ENV = "TUNELOOP_PODS"
"""How many pods a harvest has; apart from its configuration, since the dataset is the same by any number."""
TERMINATION_FILE = "/dev/termination-log"

EXIT_DONE = 0
EXIT_NEEDS_EDIT = 2
"""Retrying cannot help; the Job's podFailurePolicy gives up at once."""
EXIT_TRY_LATER = 1


Pii = Literal["Redact", "Keep"]
Precision = Literal["Auto", "Float32", "BFloat16"]
Quantization = Literal["None", "NF4"]
GateMode = Literal["Enforce", "Report"]


class Curation(Wire):
    pii: Pii = "Redact"
    near_duplicates: float = 0.8
    max_per_user: int = 50
    require_feedback: bool = False


class ImportFormat(StrEnum):
    """Caches of others that a harvest can read; each is a layout of keys in Redis."""

    REDISVL = "RedisVL"
    LANGCHAIN_REDIS = "LangChainRedis"
    SEMANTIC_ROUTER = "SemanticRouter"
    GPTCACHE = "GPTCache"
    LITELLM = "LiteLLM"


class Import(Wire):
    """Answers that another cache keeps in the target's Redis."""

    format: ImportFormat
    prefix: str = ""
    """Of its keys; empty = the format's own."""


class RedisMode(StrEnum):
    """How a Redis is deployed; it also says how its URL is read."""

    STANDALONE = "Standalone"
    SENTINEL = "Sentinel"
    CLUSTER = "Cluster"


class HarvestConfig(Wire):
    """Redis to dataset."""

    job: str
    """`<namespace>/<name>` of the FineTuneJob; also where progress is reported for."""
    job_uid: str = ""
    target: str
    """`<namespace>/<name>` of the InferenceTarget: the namespace of its streams."""
    redis_mode: RedisMode = RedisMode.STANDALONE
    window_start: str
    window_end: str
    """RFC 3339, both. Fixed when the job is first seen, so that a retried pod reads the same window."""
    domains: tuple[Domain, ...]
    """All of the target's: a record is classified among all, then those in `selected` are kept."""
    selected: tuple[str, ...] = ()
    """The domains to keep, by name; empty = all."""
    tenants: tuple[str, ...] = ()
    min_examples_per_domain: int = 50
    max_examples_per_domain: int = 5000
    held_out: float = 0.1
    min_held_out: int = 20
    curation: Curation = Curation()
    imports: tuple[Import, ...] = ()
    salt: str = ""
    """The target's, as the server has it: names of users that imports hold are hashed by it."""
    datasets_uri: str
    """The dataset is written to `<datasets_uri>/<namespace>/<job name>-<first 8 of job_uid>/`."""
    archive: bool = False
    """Whether what is read is sealed below `<datasets_uri>/_archive` and read back from there; Redis then only gives what is new."""
    seed: int = 0


class ServingAdapter(Wire):
    """What serves a domain now: the gate compares the candidate with it."""

    domain: str
    revision: str
    uri: str
    digest: str


class Lora(Wire):
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: tuple[str, ...] = ()
    """Empty = all linear layers."""


class Training(Wire):
    epochs: int = 3
    learning_rate: float = 1e-4
    max_sequence_length: int = 2048
    tokens_per_step: int = 8192
    precision: Precision = "Auto"
    quantization: Quantization = "None"
    """Of the frozen base while adapters are trained."""
    seed: int = 0


class Gate(Wire):
    mode: GateMode = "Enforce"
    min_improvement: float = 0.0
    """Nats per supervised token that a candidate must win over what serves."""
    max_forgetting: float = 0.02
    """Nats per supervised token that it may lose on the golden set of another domain."""
    min_held_out: int = 20
    """Fewest answers on which a verdict is given."""


class Workers(Wire):
    """The processes that train together, each on a part of every step."""

    nodes: int = 1
    """Pods."""
    per_node: int = 1
    """Processes of a pod: one a GPU."""

    @property
    def together(self) -> int:
        return self.nodes * self.per_node


class TrainConfig(Wire):
    """Dataset to adapters."""

    job: str
    job_uid: str = ""
    target: str
    base_model: str
    """The name; goes into the cards."""
    base_uri: str
    expected_base_digest: str = ""
    """Of the running server; another base in the training pod is a BaseMismatch. Empty: unchecked."""
    dataset: Dataset
    datasets_uri: str = ""
    """The target's store of datasets, which also holds its golden sets. Empty: there are none."""
    adapters_uri: str
    serving: tuple[ServingAdapter, ...] = ()
    lora: Lora = Lora()
    training: Training = Training()
    gate: Gate = Gate()
    workers: Workers = Workers()
