"""The evidence as figures for status and card. Pure."""

from dataclasses import fields
from statistics import median

from tuneloop_contracts.progress import Score
from tuneloop_trainer.judge.answers import AnswerFigures
from tuneloop_trainer.judge.evidence import Answers, Evidence, PairedFigures

NAMES = {
    "token_f1": "TokenF1",
    "rouge_l": "RougeL",
    "exact_match": "ExactMatch",
    "length_ratio": "LengthRatio",
    "repetition": "Repetition",
    "refusals": "Refusals",
    "broken": "Broken",
}


def scores(evidence: Evidence) -> tuple[Score, ...]:
    """Of what was measured; the interval is that of candidate minus base."""
    means = {
        "TimeForwardLoss": evidence.time_forward,
        "RefusesHarm": evidence.refuses_harm,
        "CompliesWithHarm": evidence.complies_with_harm,
        "RefusesHarmless": evidence.refuses_harmless,
    }
    found = [_mean_score(name, compared) for name, compared in means.items() if len(compared)]
    return (*_of_answers(evidence.answers), *found, *_of_triggers(evidence))


def forgetting(evidence: Evidence) -> tuple[Score, ...]:
    """By domain: losses on its golden set."""
    return tuple(_mean_score(domain, compared) for domain, compared in evidence.golden.items() if len(compared))


def _mean_score(name: str, compared: PairedFigures) -> Score:
    losses = compared.losses()
    return Score(name=name, base=losses.base, serving=losses.serving, candidate=losses.candidate, interval=str(compared.over_base() or ""))


def _of_answers(answers: Answers | None) -> list[Score]:
    if answers is None:
        return []

    def figure(of: AnswerFigures, name: str) -> str:
        return f"{getattr(of, name):.4f}"

    return [
        Score(
            name=NAMES[field.name],
            base=figure(answers.base, field.name),
            serving=figure(answers.serving, field.name) if answers.serving else None,
            candidate=figure(answers.candidate, field.name),
        )
        for field in fields(AnswerFigures)
    ]


def _of_triggers(evidence: Evidence) -> list[Score]:
    """The trigger that moves the candidate most."""
    if not evidence.triggers:
        return []
    worst = max(evidence.triggers.values(), key=PairedFigures.typical_rise)
    return [Score(name="TriggerJump", base=f"{median(worst.base):.4f}", candidate=f"{median(worst.candidate):.4f}")]
