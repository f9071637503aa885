"""How sure is a mean difference? Pure.

Two models answer the same examples, so the differences are compared, not two averages: far fewer examples tell. Answers of one
conversation are alike, so conversations are what counts as independent. The interval is Student's, 95 %, with the error of the mean
taken over the conversations' sums and one degree of freedom a conversation (Cameron and Miller, A Practitioner's Guide to
Cluster-Robust Inference, 2015: CR1 and t(G-1)). Where every conversation has one answer it is the plain paired interval.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"[{self.low:.4f}, {self.high:.4f}]"


def paired(candidate: Sequence[float], reference: Sequence[float], conversations: Sequence[str]) -> Interval | None:
    """Of the mean of candidate minus reference, over answers; None for fewer than two conversations, which have no spread, and of NaN
    where one of the figures is no number.

    The three go together, answer by answer.
    """
    differences = [one - other for one, other in zip(candidate, reference, strict=True)]
    by_conversation: dict[str, list[float]] = defaultdict(list)
    for conversation, difference in zip(conversations, differences, strict=True):
        by_conversation[conversation].append(difference)
    groups = len(by_conversation)
    if groups < 2:
        return None
    if not all(map(math.isfinite, differences)):
        return Interval(math.nan, math.nan, math.nan)
    mean = fmean(differences)
    deviations = [math.fsum(one - mean for one in alike) for alike in by_conversation.values()]
    error = math.sqrt(groups / (groups - 1) * math.fsum(deviation**2 for deviation in deviations)) / len(differences)
    margin = student_quantile((1 + CONFIDENCE) / 2, groups - 1) * error
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
