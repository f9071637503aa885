"""What every pass works with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tuneloop_operator.clients.kube import Kube
from tuneloop_operator.inferencetarget.follow import PodFollowers
from tuneloop_operator.metrics import Metrics
from tuneloop_operator.progress.inbox import Inbox
from tuneloop_operator.queue import WorkQueue
from tuneloop_operator.reference_index import ReferenceIndex
from tuneloop_operator.settings import Settings


@dataclass(frozen=True)
class Context:
    settings: Settings
    kube: Kube
    queue: WorkQueue
    followers: PodFollowers
    metrics: Metrics
    inbox: Inbox = field(default_factory=Inbox)
    references: ReferenceIndex = field(default_factory=ReferenceIndex)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
