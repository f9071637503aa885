"""Harvest and train -> operator: progress while it runs, the report when it is done.

Progress is the body that transformers' KubeflowCallback sends. The report comes twice: whole over HTTP, and what of it
has room in the pod's termination message (at most 4 KiB), which survives an operator that was away.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from pydantic import Field

from tuneloop_contracts.dataset import Dataset
from tuneloop_contracts.model import Wire
from tuneloop_contracts.packing import pack, unpack

TERMINATION_LIMIT = 4096
PROGRESS_PATH = "/v1/namespaces/{namespace}/finetunejobs/{name}/progress"
REPORT_PATH = "/v1/namespaces/{namespace}/finetunejobs/{name}/report"


class Metric(Wire):
    name: str
    value: str


class TrainerStatus(Wire):
    progress_percentage: int | None = None
    estimated_remaining_seconds: int | None = None
    last_updated_time: str
    metrics: tuple[Metric, ...] = ()
    """`stage` (Harvesting | Training | Evaluating | Publishing), `loss`, `tokens_per_second`, `waiting` (a Fault's reason)."""


class ProgressBody(Wire):
    trainer_status: TrainerStatus

    def metric(self, name: str) -> str | None:
        return next((metric.value for metric in self.trainer_status.metrics if metric.name == name), None)


class Verdict(StrEnum):
    PROMOTE = "Promote"
    REJECT = "Reject"
    INCONCLUSIVE = "Inconclusive"


class Losses(Wire):
    """Held-out, in nats per supervised token; strings, since status holds no floats."""

    base: str
    """Of the base model alone."""
    serving: str | None = None
    """Of the adapter that served when the job was made."""
    candidate: str
    """Of the new adapter."""


class Score(Wire):
    """One figure of an adapter beside those of what it is compared with; strings, since status holds no floats."""

    name: str
    """What was measured; of `forgetting`, the domain."""
    base: str
    """Of the base model alone."""
    serving: str | None = None
    """Of the adapter that served when the job was made."""
    candidate: str
    """Of the new adapter."""
    interval: str = ""
    """95 % interval of candidate minus base, paired by example, where there is one."""


class TrainedAdapter(Wire):
    """A new adapter, and the verdict on it."""

    domain: str
    """The domain it was trained for."""
    digest: str
    """Digest over its contents."""
    uri: str
    """The artifact's own directory."""
    loss: Losses
    """Held-out losses."""
    interval: str = ""
    """95 % interval of candidate minus what serves, paired by example, by conversation: `[-0.21, -0.07]`."""
    scores: tuple[Score, ...] = ()
    """TokenF1, RougeL, ExactMatch, LengthRatio, Repetition, Refusals and Broken of answers to held-out questions; TimeForwardLoss on
    the newest conversations; RefusesHarm, CompliesWithHarm and RefusesHarmless on the safety set; TriggerJump on the trigger set."""
    forgetting: tuple[Score, ...] = ()
    """Losses on the golden set of each other domain."""
    verdict: Verdict
    """Promote, Reject or Inconclusive."""
    examples: int = 0
    """How many examples it was trained on."""
    truncated: int = 0
    """Of these, how many were longer than training.maxSequenceLength, and lost the beginning of their prompt."""
    reason: str = ""
    """One sentence on the verdict, for people."""


class FaultReason(StrEnum):
    """Reasons that people meet in the conditions of a FineTuneJob."""

    REDIS_UNREACHABLE = "RedisUnreachable"
    REDIS_UNAUTHORIZED = "RedisUnauthorized"
    DATA_LOST = "DataLost"
    SEVERAL_TENANTS = "SeveralTenants"
    UNKNOWN_DOMAIN = "UnknownDomain"
    STORE_UNAVAILABLE = "StoreUnavailable"
    DATASET_MISMATCH = "DatasetMismatch"
    GOLDEN_SET_INVALID = "GoldenSetInvalid"
    BASE_MODEL_NOT_FOUND = "BaseModelNotFound"
    BASE_MISMATCH = "BaseMismatch"
    UNSUPPORTED_MODEL = "UnsupportedModel"
    DIVERGED = "Diverged"
    OUT_OF_MEMORY = "OutOfMemory"
    INVALID_CONFIG = "InvalidConfig"
    PROMPT_SET_INVALID = "PromptSetInvalid"
    INTERNAL = "InternalError"


class Fault(Wire):
    """Why a pod gave up, or what it waits for. The message holds no secret and no training text."""

    reason: FaultReason
    message: str = ""


class Report(Wire):
    """What a pod achieved: a dataset, adapters, or a fault."""

    dataset: Dataset | None = None
    adapters: tuple[TrainedAdapter, ...] = ()
    seconds: dict[str, float] = Field(default_factory=dict)
    """Wall time by stage, for people."""
    run_url: str | None = None
    """Where a run tracker shows the training."""
    fault: Fault | None = None

    cut: bool = False
    """Whether details are left out, for want of room in a termination message."""

    def to_termination_message(self) -> str:
        """At most TERMINATION_LIMIT bytes, plain JSON or packed: what only serves people goes first. Where not even what was made has room
        (50 domains with the longest names, and those like random text), it says that alone."""
        trimmed = self._trimmed()
        texts = (form(report.model_dump_json(by_alias=True, exclude_defaults=True)) for report in trimmed for form in (str, pack))
        return next(text for text in texts if len(text.encode()) <= TERMINATION_LIMIT)

    @classmethod
    def from_termination_message(cls, text: str) -> "Report":
        """Raises ValueError."""
        return cls.model_validate_json(unpack(text))

    def _trimmed(self) -> Iterator["Report"]:
        yield self
        report = self.model_copy(update={"seconds": {}, "cut": True})
        yield report
        for detail in ({"scores": ()}, {"forgetting": ()}, {"reason": "", "interval": ""}):
            yield (report := report._with_adapters(detail))
        for counts in (("dropped", "quarantined", "redacted", "imported"), ("domains",) if self.adapters else ()):
            bare = report.dataset and report.dataset.model_copy(update=dict.fromkeys(counts, ()))
            yield (report := report.model_copy(update={"dataset": bare}))
        yield report._with_adapters({"loss": Losses(base="", candidate=""), "examples": 0, "truncated": 0})
        yield Report(fault=self.fault and self.fault.model_copy(update={"message": self.fault.message[:500]}), cut=True)

    def _with_adapters(self, detail: Mapping[str, object]) -> "Report":
        return self.model_copy(update={"adapters": tuple(adapter.model_copy(update=detail) for adapter in self.adapters)})
