"""Answers against the ones that people got, in figures that need no second model. Pure."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

NGRAM = 4
"""Words of a repeated passage: seq-rep-4 of Welleck et al., Neural Text Generation with Unlikelihood Training (2020)."""
LOOPING = 0.5
"""Share of repeated passages from which an answer counts as a loop."""

REFUSALS = (
    "i'm sorry", "i am sorry", "sorry", "i can't", "i cannot", "i can not", "i'm unable", "i am unable", "i'm not able", "i won't",
    "as an ai", "desculpe", "sinto muito", "lamento", "não posso", "não consigo", "infelizmente", "como uma ia", "como um modelo",
)  # fmt: skip
"""How a refusal opens, in English and Portuguese."""

Pair = tuple[str, str]
"""What a model said, and what it should have."""


@dataclass(frozen=True)
class AnswerFigures:
    """Means over the answers, between 0 and 1 but for `length_ratio`."""

    token_f1: float
    rouge_l: float
    exact_match: float
    length_ratio: float
    repetition: float
    refusals: float
    broken: float
    """Share that is empty or a loop, where the answer that people got is neither."""


def figures(answers: Sequence[Pair]) -> AnswerFigures:
    """Raises statistics.StatisticsError without an answer."""
    said = [one for one, _ in answers]
    return AnswerFigures(
        token_f1=fmean(token_f1(*pair) for pair in answers),
        rouge_l=fmean(rouge_l(*pair) for pair in answers),
        exact_match=fmean(words(one) == words(other) for one, other in answers),
        length_ratio=fmean(len(words(one)) / max(1, len(words(other))) for one, other in answers),
        repetition=fmean(repetition(one) for one in said),
        refusals=fmean(refuses(one) for one in said),
        broken=fmean(is_broken(one) and not is_broken(other) for one, other in answers),
    )


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def token_f1(said: str, wanted: str) -> float:
    """Overlap of the two bags of words (Rajpurkar et al., SQuAD, 2016)."""
    return _f1(sum((Counter(words(said)) & Counter(words(wanted))).values()), words(said), words(wanted))


def rouge_l(said: str, wanted: str) -> float:
    """Longest common subsequence of words (Lin, ROUGE, 2004), as F1."""
    return _f1(_longest_common(words(said), words(wanted)), words(said), words(wanted))


def repetition(said: str) -> float:
    """Share of the passages of NGRAM words that are there already; 0 for shorter answers."""
    known = words(said)
    passages = [tuple(known[n : n + NGRAM]) for n in range(len(known) - NGRAM + 1)]
    return 1 - len(set(passages)) / len(passages) if passages else 0.0


def refuses(said: str) -> bool:
    return said.strip().casefold().replace("’", "'").startswith(REFUSALS)


def is_broken(said: str) -> bool:
    """Without a word, or a loop."""
    return not words(said) or repetition(said) >= LOOPING


def log_probability(openings: Sequence[float]) -> float:
    """That an answer begins with one of these, from the nats of each."""
    largest = max(-nats for nats in openings)
    return largest + math.log(math.fsum(math.exp(-nats - largest) for nats in openings))


def _f1(shared: int, said: Sequence[str], wanted: Sequence[str]) -> float:
    if not said or not wanted:
        return float(said == wanted)
    return 2 * shared / (len(said) + len(wanted))


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    lengths = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for n, rival in enumerate(other, start=1):
            before, lengths[n] = lengths[n], before + 1 if word == rival else max(lengths[n], lengths[n - 1])
    return lengths[-1]
