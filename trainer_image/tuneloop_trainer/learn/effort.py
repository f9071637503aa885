"""How far all domains together are: percent and time left, for the operator and for people."""

import logging
import time
from collections import Counter
from dataclasses import dataclass, field

from tuneloop_contracts.jobs import TrainConfig
from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.together import StepDone
from tuneloop_trainer.reporting import Reporter

log = logging.getLogger("tuneloop")

Rows = dict[str, tuple[list[Encoded], list[Encoded]]]
"""By domain: train, held out."""

EVALUATING = 0.4
"""What a token costs without a backward pass, of one with it."""
LOG_EVERY = 10.0
"""Seconds between two lines of a domain."""


@dataclass
class Effort:
    """Counts tokens against all that there will be; an evaluated token counts as EVALUATING of a trained one."""

    reporter: Reporter
    total: float
    done: float = 0.0
    stage: str = "Training"
    started: float = field(default_factory=time.monotonic)
    seconds: Counter[str] = field(default_factory=Counter)
    loss: str = ""
    rate: str = ""
    _logged_at: float = float("-inf")

    @classmethod
    def of(cls, rows: Rows, config: TrainConfig, reporter: Reporter) -> "Effort":
        return cls(reporter, max(1.0, sum(_cost(name, rows, config) for name in config.dataset.trainable)))

    def enter(self, stage: str) -> None:
        self.stage = stage
        self._tell()

    def evaluated(self, tokens: int) -> None:
        self.done += EVALUATING * tokens
        self._tell()

    def trained(self, step: StepDone) -> None:
        if not step.seconds:
            self.total -= step.tokens
            return
        self.done += step.tokens + step.spared
        self.loss, self.rate = f"{step.loss:.4f}", f"{step.tokens / max(step.seconds, 1e-9):.0f}"
        self._tell()
        self.reporter.tracking.log({f"{step.unit}/loss": step.loss, f"{step.unit}/tokens_per_second": float(self.rate)}, step.step)
        if time.monotonic() - self._logged_at >= LOG_EVERY or step.step in (1, step.steps):
            self._logged_at = time.monotonic()
            log.info("%s: step %d/%d loss %.2f %s tok/s ETA %s", step.unit, step.step, step.steps, step.loss, self.rate, clock(self.eta))

    @property
    def eta(self) -> float:
        """Seconds, at the pace so far."""
        passed = time.monotonic() - self.started
        return passed * max(0.0, self.total - self.done) / max(self.done, 1.0)

    def _tell(self) -> None:
        known = {"loss": self.loss, "tokens_per_second": self.rate}
        percent = min(99.0, 100 * self.done / self.total)
        self.reporter.progress(self.stage, percent, self.eta, **{name: value for name, value in known.items() if value})


def clock(seconds: float) -> str:
    """`3m10s`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest}s"


def _cost(domain: str, rows: Rows, config: TrainConfig) -> float:
    train, held_out = rows[domain]
    models = 3 if any(serving.domain == domain for serving in config.serving) else 2
    return config.training.epochs * _tokens(train) + EVALUATING * models * _tokens(held_out)


def _tokens(rows: list[Encoded]) -> int:
    return sum(len(row.tokens) for row in rows)
