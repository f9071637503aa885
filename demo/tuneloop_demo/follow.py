"""A FineTuneJob, live on the terminal, with the moments at which things happened."""

import sys
import time
from dataclasses import dataclass, field

from tuneloop_contracts.names import JOB_LABEL
from tuneloop_demo import kube

JOB_SECONDS = 40 * 60
FIRST_POD_SECONDS = 60
TURNS = {"Training": "Training and evaluating", "Evaluating": "Training and evaluating"}
"""Stages that take turns, domain by domain, are timed as one."""


@dataclass
class Timeline:
    """Seconds on this machine's monotonic clock."""

    applied: float
    first_pod: float | None = None
    stages: dict[str, float] = field(default_factory=dict)
    """When each stage was first seen."""

    def seconds_by_stage(self) -> dict[str, float]:
        names, times = list(self.stages), list(self.stages.values())
        return {name: after - at for name, at, after in zip(names, times, times[1:], strict=False)}


class StatusLine:
    """One line that is drawn over on a terminal; elsewhere a line whenever it has changed enough to matter."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._shown, self._at = "", 0.0

    def show(self, text: str, *, last: bool = False) -> None:
        if self._live:
            print(f"\r\033[K  {text}", end="\n" if last else "", flush=True)
        elif text != self._shown and (last or time.monotonic() - self._at > 5):
            print(f"  {text}", flush=True)
            self._shown, self._at = text, time.monotonic()


def follow(name: str, *, namespace: str, applied: float) -> tuple[kube.Manifest, Timeline]:
    """Until the job is Complete or Failed; returns it as it ended."""
    line, timeline = StatusLine(), Timeline(applied)

    def look() -> kube.Manifest | None:
        job: kube.Manifest = kube.get("finetunejob", name, namespace=namespace)
        stage = job["status"].get("stage", "Pending")
        timeline.stages.setdefault(TURNS.get(stage, stage), time.monotonic())
        line.show(describe(job))
        return job if kube.is_true(job, "Complete") or kube.is_true(job, "Failed") else None

    def first_pod() -> bool:
        return bool(kube.get("pods", namespace=namespace, selector=f"{JOB_LABEL}={name}"))

    kube.until(f"a pod of FineTuneJob {name}", first_pod, seconds=FIRST_POD_SECONDS, every=0.05)
    timeline.first_pod = time.monotonic()
    try:
        # each look starts a kubectl, on the cores that train: not more often than it takes to be live
        ended = kube.until(f"FineTuneJob {name}", look, seconds=JOB_SECONDS, every=2)
    finally:
        line.show(describe(kube.get("finetunejob", name, namespace=namespace)), last=True)
    return ended, timeline


def describe(job: kube.Manifest) -> str:
    """`Training 43 %, 212 s left, loss 1.83, 131 tokens/s` or the reason that it waits for."""
    status = job.get("status", {})
    progress, ready = status.get("progress") or {}, kube.condition(job, "Ready")
    parts = [status.get("stage", "Pending")]
    if "percent" in progress:
        parts.append(f"{progress['percent']} %")
    if progress.get("estimatedRemainingSeconds"):
        parts.append(f"{progress['estimatedRemainingSeconds']} s left")
    parts += [f"{label} {progress[key]}" for key, label in (("loss", "loss"), ("tokensPerSecond", "tokens/s")) if progress.get(key)]
    if ready.get("reason") not in (None, parts[0]):
        parts.append(f"({ready['reason']}: {ready.get('message', '')[:90]})")
    return ", ".join(parts)
