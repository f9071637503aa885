"""What every pass works with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tuneloop_operator.clients.kube import Kube
from tuneloop_operator.inferencetarget.follow import Followers
from tuneloop_operator.links import Links
from tuneloop_operator.metrics import Metrics
from tuneloop_operator.progress.inbox import Inbox
from tuneloop_operator.queue import WorkQueue
from tuneloop_operator.settings import Settings


@dataclass(frozen=True)
class Context:
    settings: Settings
    kube: Kube
    queue: WorkQueue
    followers: Followers
    metrics: Metrics
    inbox: Inbox = field(default_factory=Inbox)
    links: Links = field(default_factory=Links)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
