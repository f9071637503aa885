"""Progress and the report: to the operator over HTTP, to people as log lines, and to the pod's termination message.

Nothing here may stop the work: an operator that is away costs a log line. Progress goes out from a thread of its own, so that a
network that swallows packets does not slow a training step.
"""

import http.client
import json
import logging
import os
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tuneloop_contracts.jobs import PROGRESS_TOKEN_ENV, PROGRESS_URL_ENV, TERMINATION_FILE
from tuneloop_contracts.progress import FaultReason, Metric, ProgressBody, Report, TrainerStatus
from tuneloop_trainer.tracking import Tracking
from tuneloop_trainer.workers import is_first

log = logging.getLogger("tuneloop")

PROGRESS_EVERY = 5.0
"""Seconds between two bodies of progress, as transformers' KubeflowCallback."""
POST_TIMEOUT = 5.0
REPORT_PATIENCE = 60.0
"""Seconds in which the final report is tried again; an operator restarts in less."""


@dataclass
class Reporter:
    """Says how far the work is. Without a URL (outside Kubernetes) it says nothing, and the log lines remain."""

    url: str = ""
    token_file: str = ""
    termination_file: Path = Path(TERMINATION_FILE)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    stage: str = ""
    tracking: Tracking = field(default_factory=Tracking)
    """Run trackers, which people chose."""
    _sent_at: float = field(default=float("-inf"), init=False)
    _sending: threading.Thread | None = field(default=None, init=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Reporter":
        """Of processes that work together only the first speaks to the operator; the others only leave a fault in their pod."""
        if not is_first(env):
            return cls()
        url, token = env.get(PROGRESS_URL_ENV, ""), env.get(PROGRESS_TOKEN_ENV, "")
        return cls(url=url, token_file=token, tracking=Tracking.from_env(env))

    def progress(self, stage: str, percent: float | None = None, eta_seconds: float | None = None, **metrics: str) -> None:
        """At most one body each PROGRESS_EVERY seconds, but a new stage at once; dropped while the last one is on its way."""
        news = stage != self.stage
        self.stage = stage
        if not self.url or (not news and self.clock() - self._sent_at < PROGRESS_EVERY):
            return
        if self._sending and self._sending.is_alive():
            return
        self._sent_at = self.clock()
        body = progress_body(stage, percent, eta_seconds, metrics, now=datetime.now(UTC))
        self._sending = threading.Thread(target=self._post_quietly, args=(self.url, body.to_wire()), daemon=True)
        self._sending.start()

    def waiting(self, reason: FaultReason) -> None:
        self.progress(self.stage or "Harvesting", waiting=str(reason))

    def finish(self, report: Report) -> None:
        """The report, by both ways: the termination message survives an operator that was away."""
        if self.termination_file.exists() and os.access(self.termination_file, os.W_OK):
            self.termination_file.write_text(report.to_termination_message(), encoding="utf-8")
        if self.url and not self._deliver(report):
            log.warning("the operator did not take the report; it will read the termination message")

    def _deliver(self, report: Report) -> bool:
        if self._sending:
            self._sending.join(POST_TIMEOUT)
        url = self.url.removesuffix("/progress") + "/report"
        deadline, pause = self.clock() + REPORT_PATIENCE, 1.0
        while not self._post_quietly(url, report.to_wire()):
            if self.clock() + pause > deadline:
                return False
            self.sleep(pause)
            pause = min(2 * pause, 10.0)
        return True

    def _post_quietly(self, url: str, document: Mapping[str, object]) -> bool:
        try:
            post(url, document, self._token())
            return True
        except (OSError, http.client.HTTPException, ValueError) as error:  # a proxy may answer with anything
            log.debug("report not delivered: %s", type(error).__name__)
            return False

    def _token(self) -> str:
        """Read each time: the kubelet renews the file."""
        return Path(self.token_file).read_text(encoding="utf-8").strip() if self.token_file else ""


def progress_body(
    stage: str, percent: float | None, eta_seconds: float | None, metrics: Mapping[str, str], *, now: datetime
) -> ProgressBody:
    return ProgressBody(
        trainer_status=TrainerStatus(
            progress_percentage=None if percent is None else max(0, min(100, int(percent))),
            estimated_remaining_seconds=None if eta_seconds is None else max(0, int(eta_seconds)),
            last_updated_time=now.isoformat(),
            metrics=tuple(Metric(name=name, value=value) for name, value in {"stage": stage, **metrics}.items()),
        )
    )


def post(url: str, document: Mapping[str, object], token: str) -> None:
    """Raises OSError (urllib's errors are) when it was not taken, HTTPException for an answer that is no HTTP."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, data=json.dumps(document).encode(), headers=headers, method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=POST_TIMEOUT) as answer:  # noqa: S310 - the URL is the operator's own
        answer.read()
