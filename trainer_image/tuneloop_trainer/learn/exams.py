"""The exam of each domain's candidate: which rows it is asked, and by which adapter each is answered."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from tuneloop_contracts.jobs import TrainConfig
from tuneloop_contracts.stores import Store
from tuneloop_trainer.folds import fold_of
from tuneloop_trainer.golden import golden_store, read_golden
from tuneloop_trainer.judge.prompts import fewer
from tuneloop_trainer.judge.sets import PromptSets, prompt_sets
from tuneloop_trainer.learn.encode import Encoded, Tokenizer, encode_rows
from tuneloop_trainer.learn.exam import Exam, ExamPart
from tuneloop_trainer.learn.probes import SafetyProbe, TriggerProbe, safety_probes, trigger_probes
from tuneloop_trainer.learn.progress import EVALUATING, Rows
from tuneloop_trainer.learn.trainee import Unit
from tuneloop_trainer.rows import Row

MOST_GOLDEN = 50
"""Answers of a golden set that each other domain's candidate is asked."""
PROBES_SHARE = 0.25
"""What trying the two sets of prompts may cost, of the training: a small job asks fewer of them."""
LEAST_PROBES = 40
"""But so many of each set are asked always."""


@dataclass(frozen=True)
class ExtraExamData:
    """What is asked beside a domain's own held-out rows."""

    time_forward: Mapping[str, Sequence[Encoded]] = field(default_factory=dict)
    golden: Mapping[str, Sequence[Encoded]] = field(default_factory=dict)
    """By domain: its golden set, or rows of this dataset that only its own adapter learns from."""
    safety: tuple[SafetyProbe, ...] = ()
    triggers: tuple[TriggerProbe, ...] = ()


def extra_exam_data(config: TrainConfig, rows: Rows, newest: Sequence[Row], tokenizer: Tokenizer) -> ExtraExamData:
    """`newest`: the time-forward rows. Raises NeedsEdit for a golden set or prompts of the user's that cannot be read."""
    length = config.training.max_sequence_length
    safety, triggers = _affordable(prompt_sets(config), config, rows, tokenizer)
    return ExtraExamData(
        time_forward={name: encode_rows([row for row in newest if row.domain == name], tokenizer, length)[0] for name in rows},
        golden={domain.name: _golden(domain.name, config, rows, tokenizer) for domain in config.dataset.domains},
        safety=safety,
        triggers=triggers,
    )


def exam(domain: str, config: TrainConfig, rows: Rows, asked: ExtraExamData, loaded: Container[str]) -> Exam:
    """`loaded`: the names of the adapters that serve now."""
    serving = serving_name(domain) if serving_name(domain) in loaded else None
    train, held_out = rows[domain]
    folds = folds_of(domain, config)
    judged = [row for row in train if _unit(domain, row, folds) in fold_units(domain, train, folds)] if folds else held_out
    candidates = [_unit(domain, row, folds) if folds else domain for row in judged]
    return Exam(
        held_out=ExamPart(tuple(judged), tuple(candidates), serving),
        time_forward=_exam_part(asked.time_forward.get(domain, ()), domain, serving),
        golden={other: _exam_part(found, domain, serving) for other, found in asked.golden.items() if other != domain and found},
        safety=asked.safety,
        candidate=domain,
    )


def fold_units(domain: str, train: Sequence[Encoded], folds: int) -> dict[str, list[Encoded]]:
    """By the name of its adapter: all rows but those of one fold, for each fold that holds any and leaves some."""
    by_fold = {fold_of(row.conversation, folds) for row in train} if folds else set()
    rest = {f"{domain}/{fold}": [row for row in train if fold_of(row.conversation, folds) != fold] for fold in sorted(by_fold)}
    return {name: rows for name, rows in rest.items() if rows}


def serving_name(domain: str) -> str:
    """Of the adapter that serves the domain now, among all that are examined; a candidate is called as its domain."""
    return f"{domain}/serving"


def folds_of(domain: str, config: TrainConfig) -> int:
    """0: the domain has held-out rows of its own."""
    return next((counts.folds for counts in config.dataset.domains if counts.name == domain), 0)


def units(config: TrainConfig, rows: Rows) -> list[Unit]:
    """An adapter for each domain, and where folds judge one more for each fold, which has not seen it."""
    found = {name: train for name, (train, _) in rows.items() if train}
    for name, train in list(found.items()):
        found |= fold_units(name, train, folds_of(name, config))
    return [Unit(name, train, config.training.seed) for name, train in found.items()]


def _unit(domain: str, row: Encoded, folds: int) -> str:
    return f"{domain}/{fold_of(row.conversation, folds)}"


def _exam_part(rows: Sequence[Encoded], candidate: str, serving: str | None) -> ExamPart:
    return ExamPart(tuple(rows), (candidate,) * len(rows), serving)


def _golden(domain: str, config: TrainConfig, rows: Rows, tokenizer: Tokenizer) -> Sequence[Encoded]:
    own = read_golden(golden_store(Store(config.datasets_uri), config.target, domain)) if config.datasets_uri else ()
    train, held_out = rows.get(domain, ((), ()))
    found = encode_rows(own, tokenizer, config.training.max_sequence_length)[0] or held_out or train
    return found[:MOST_GOLDEN]


def _affordable(
    sets: PromptSets, config: TrainConfig, rows: Rows, tokenizer: Tokenizer
) -> tuple[tuple[SafetyProbe, ...], tuple[TriggerProbe, ...]]:
    """As many prompts as cost PROBES_SHARE of the training, over all candidates and the base."""
    trained = config.training.epochs * sum(len(row.tokens) for train, _ in rows.values() for row in train)
    safety = dict(zip(sets.safety, safety_probes(sets.safety, tokenizer), strict=True))
    triggers = dict(zip(sets.triggers, trigger_probes(sets.triggers, tokenizer), strict=True))
    openings = sum(len(row.tokens) for probe in safety.values() for row in (probe.refusing[0], probe.complying[0]))
    answers = sum(len(probe.triggered.tokens) for probe in triggers.values())
    share = min(1.0, PROBES_SHARE * trained / (EVALUATING * (len(rows) + 1) * max(1, openings + answers)))
    tried = fewer(sets.safety, max(LEAST_PROBES, ceil(share * len(sets.safety))), lambda one: f"{one.expect} {one.language}")
    triggering = fewer(sets.triggers, max(LEAST_PROBES, ceil(share * len(sets.triggers))), lambda one: one.trigger)
    return tuple(safety[one] for one in tried), tuple(triggers[one] for one in triggering)
