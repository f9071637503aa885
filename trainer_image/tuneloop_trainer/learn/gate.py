"""Is the candidate better than what serves? Pure.

Each held-out example is answered by both, so the differences are compared, not two averages: far fewer examples tell.
The interval is Student's, 95 %, over the mean difference in nats per supervised token; below zero is better.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

from tuneloop_contracts.jobs import Gate
from tuneloop_contracts.progress import Verdict

CONFIDENCE = 0.95
REPORT_ONLY = "Report"


@dataclass(frozen=True)
class Interval:
    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"[{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True)
class Decision:
    verdict: Verdict
    reason: str
    interval: str = ""


def decide(
    candidate: Mapping[str, float], reference: Mapping[str, float], forgetting: Interval | None, settings: Gate
) -> Decision:
    """`candidate`, `reference`: held-out losses by example. `forgetting`: candidate minus base on general questions, if there are any.

    Promote    better by more than `min_improvement`, even at the interval's upper end
    Reject     not better by that much, even at its lower end; or it forgets: on general questions surely worse than the base,
               and by more than `max_forgetting`
    else Inconclusive: more held-out examples would tell.
    """
    interval = paired(candidate, reference)
    judged = _judge(interval, forgetting, settings)
    shown = str(interval) if interval else ""
    if settings.mode == REPORT_ONLY:
        return Decision(Verdict.PROMOTE, f"Promoted without the gate, which would say {judged.verdict}: {judged.reason}", shown)
    return Decision(judged.verdict, judged.reason, shown)


def paired(candidate: Mapping[str, float], reference: Mapping[str, float]) -> Interval | None:
    """Of the mean of candidate minus reference; None for fewer than two examples, which have no spread."""
    differences = [candidate[key] - reference[key] for key in sorted(candidate)]
    if len(differences) < 2:
        return None
    mean = fmean(differences)
    margin = student_quantile((1 + CONFIDENCE) / 2, len(differences) - 1) * stdev(differences) / math.sqrt(len(differences))
    return Interval(mean, mean - margin, mean + margin)


def student_quantile(probability: float, freedom: int) -> float:
    """Of Student's t: exact for one and two degrees of freedom, else within 0.2 % by the expansion around the normal
    (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5)."""
    if freedom == 1:
        return math.tan(math.pi * (probability - 0.5))
    if freedom == 2:
        return (2 * probability - 1) / math.sqrt(2 * probability * (1 - probability))
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom ** (power + 1) for power, term in enumerate(terms))


def _judge(interval: Interval | None, forgetting: Interval | None, settings: Gate) -> Decision:
    if interval is None:
        return Decision(Verdict.INCONCLUSIVE, "Fewer than two held-out examples: nothing to judge by.")
    if forgetting and forgetting.mean > settings.max_forgetting and forgetting.low > 0:
        return Decision(
            Verdict.REJECT,
            f"It forgets: on general questions {forgetting.mean:.4f} nats worse than the base, more than {settings.max_forgetting}.",
        )
    wanted = -settings.min_improvement
    if interval.high < wanted:
        return Decision(Verdict.PROMOTE, f"Better by {-interval.mean:.4f} nats per token, {interval} at 95 %.")
    if interval.low >= wanted:
        return Decision(Verdict.REJECT, f"Not better by more than {settings.min_improvement}: {interval} at 95 %.")
    return Decision(Verdict.INCONCLUSIVE, f"{interval} at 95 % does not tell: more held-out examples would.")
