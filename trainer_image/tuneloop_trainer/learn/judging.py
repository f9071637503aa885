"""All candidates of a job are examined at once: one pass over all rows by all models, a few short answers, and the evidence of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tuneloop_trainer.judge.evidence import Evidence
from tuneloop_trainer.learn.answering import answered, opened
from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.exam import Exam, all_asked
from tuneloop_trainer.learn.lora.adapter import Adapter
from tuneloop_trainer.learn.probes import TriggerProbe
from tuneloop_trainer.learn.score import row_losses


def examined(
    base: Base,
    adapters: Mapping[str, Adapter],
    exams: Mapping[str, Exam],
    triggers: Sequence[TriggerProbe],
    on_tokens: Callable[[int], None] = lambda tokens: None,
) -> dict[str, Evidence]:
    """By domain. `adapters`: every candidate, what serves, and those of folds, by the names that the exams use.

    `on_tokens` hears how many tokens of rows each pass answered for.
    """
    openings = opened(base, adapters, [exam.candidate for exam in exams.values()], triggers)
    whole = {domain: replace(exam, openings=openings[exam.candidate]) for domain, exam in exams.items()}
    asked = all_asked(whole.values())
    losses = row_losses(base, adapters, asked, on_tokens)
    nats = {one: loss.sum().item() for one, loss in zip(asked, losses, strict=True)}
    answers = answered(base, adapters, {domain: exam.held_out for domain, exam in exams.items()})
    return {domain: replace(exam.evidence(nats), answers=answers.get(domain)) for domain, exam in whole.items()}
