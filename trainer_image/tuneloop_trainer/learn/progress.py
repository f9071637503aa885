"""How far all domains together are: percent and time left, for the operator and for people."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.packs.tree import beginning
from tuneloop_trainer.learn.together import StepResult
from tuneloop_trainer.reporting import Reporter

log = logging.getLogger("tuneloop")

Rows = dict[str, tuple[list[Encoded], list[Encoded]]]
"""By domain: train, held out."""

EVALUATING = 0.4
"""What a token costs without a backward pass, of one with it."""
LOG_EVERY = 10.0
"""Seconds between two lines of a domain."""


@dataclass
class ProgressMeter:
    """Counts tokens against all that there will be; an evaluated token counts as EVALUATING of a trained one."""

    reporter: Reporter
    total: float
    evaluated_token: float = EVALUATING
    """Of a token asked, on average: beginnings that rows share are computed once."""
    done: float = 0.0
    stage: str = "Training"
    started: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by stage."""
    loss: str = ""
    rate: str = ""
    _logged_at: float = float("-inf")

    @classmethod
    def of(cls, trained: Iterable[Encoded], epochs: int, asked: Mapping[str, Sequence[Encoded]], reporter: Reporter) -> "ProgressMeter":
        """`trained`: the rows of every unit. `asked`: the rows that each model scores."""
        evaluating = EVALUATING * sum(map(distinct_tokens, asked.values()))
        told = sum(map(_tokens, asked.values()))
        return cls(reporter, max(1.0, epochs * _tokens(trained) + evaluating), evaluating / max(1, told))

    @contextmanager
    def of_stage(self, stage: str) -> Iterator[None]:
        self.stage = stage
        self._tell()
        started = time.monotonic()
        yield
        self.seconds[stage.lower()] = round(time.monotonic() - started, 1)

    def evaluated(self, tokens: int) -> None:
        self.done += self.evaluated_token * tokens
        self._tell()

    def trained(self, step: StepResult) -> None:
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


def distinct_tokens(rows: Iterable[Encoded]) -> int:
    """Those that one pass computes: of rows in order, each begins anew where it differs from the one before."""
    ordered = sorted(row.tokens for row in rows)
    return sum(len(row) - beginning(before, row) for before, row in pairwise([(), *ordered]))


def _tokens(rows: Iterable[Encoded]) -> int:
    return sum(len(row.tokens) for row in rows)
