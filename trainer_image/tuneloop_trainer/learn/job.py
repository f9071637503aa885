"""The training job: what is wanted, what is there already, all adapters at once, an exam for all, then a verdict on each."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from tuneloop_contracts.base import digest_of
from tuneloop_contracts.dataset import DATA_FILES
from tuneloop_contracts.jobs import TrainConfig
from tuneloop_contracts.progress import FaultReason, Report, TrainedAdapter
from tuneloop_contracts.stores import Store
from tuneloop_trainer.dataset_ref import resolved
from tuneloop_trainer.errors import NeedsEdit, TryLater
from tuneloop_trainer.golden import every_golden
from tuneloop_trainer.learn.base import Base, load_base
from tuneloop_trainer.learn.base_folder import base_folder, checked_digest
from tuneloop_trainer.learn.checkpoint import Checkpointer, forget_abandoned
from tuneloop_trainer.learn.decontaminate import decontaminate
from tuneloop_trainer.learn.domain import DomainPublisher, encoded_by_domain, nothing_to_learn
from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.exam import Exam, by_model
from tuneloop_trainer.learn.exams import exam, extra_exam_data, serving_name, units
from tuneloop_trainer.learn.finished import keep_report
from tuneloop_trainer.learn.judging import examined
from tuneloop_trainer.learn.lora.adapter import Adapter, load_serving
from tuneloop_trainer.learn.memory import memory_named
from tuneloop_trainer.learn.precision import choose
from tuneloop_trainer.learn.probes import TriggerProbe
from tuneloop_trainer.learn.process_group import ALONE, ProcessGroup
from tuneloop_trainer.learn.progress import ProgressMeter, Rows
from tuneloop_trainer.learn.quantize import as_served
from tuneloop_trainer.learn.threads import use_allowed_cpus
from tuneloop_trainer.learn.together import train_together
from tuneloop_trainer.learn.trainee import Unit
from tuneloop_trainer.reporting import Reporter
from tuneloop_trainer.rows import Row, read_rows
from tuneloop_trainer.stopping import Stop
from tuneloop_trainer.store import check_writable, get_folder
from tuneloop_trainer.trackers import Run

log = logging.getLogger("tuneloop")

Sides = tuple[list[Row], list[Row], list[Row]]
"""Train, held out, and the newest: as DATA_FILES has them."""


def train_job(config: TrainConfig, reporter: Reporter, stop: Stop | None = None, group: ProcessGroup = ALONE) -> Report:
    """Raises TryLater or NeedsEdit. (Whether it was done before is `finished.finished_report`'s to say.)

    Of a `group` only the first process judges, publishes and reports. With `stop` asked for, the state is kept and SystemExit raised.
    """
    started = time.monotonic()
    reporter.progress("Training", 0)
    asked = config
    config = config.model_copy(update={"dataset": resolved(config.dataset)})
    check_writable(Store(config.adapters_uri))
    folder = base_folder(config)
    digest = checked_digest(folder, config)
    rows = fetch_rows(config)
    use_allowed_cpus()
    with memory_named():
        base = load_base(folder, config, digest, choose(config.training.precision))
        config = within(base.context, config)
        loaded = time.monotonic()
        plan = planned(base, config, rows)
        meter = ProgressMeter.of(plan.learned, config.training.epochs, by_model(plan.exams.values()), reporter)
        reporter.tracking.begin(tracked(config))
        checkpointer = Checkpointer.of(asked, stop or Stop(), group)
        with meter.of_stage("Training"), checkpointer.keeping():
            trained = train_together(base, plan.units, config.lora, config.training, meter.trained, checkpointer)
        if not group.is_first:
            return Report()
        if config.training.quantization != "None":
            placement = base.placement
            del base  # its memory, before the other is loaded
            base = load_base(folder, as_served(config), digest, placement)
        adapters = judged(base, config, plan, trained, meter)
    seconds = {"load": round(loaded - started, 1)} | meter.seconds
    learned_of = config.dataset if asked.dataset.is_only_named else None
    report = Report(dataset=learned_of, adapters=adapters, seconds=seconds, run_url=reporter.tracking.end() or None)
    keep_report(asked, report)
    checkpointer.forget()
    forget_abandoned(config, now=datetime.now(UTC))
    return report


@dataclass(frozen=True)
class TrainingPlan:
    """All that a job will train and ask."""

    rows: Rows
    units: Sequence[Unit]
    serving: Mapping[str, Adapter]
    exams: Mapping[str, Exam]
    """By domain, where there is anything to learn."""
    triggers: Sequence[TriggerProbe]

    @property
    def learned(self) -> Iterator[Encoded]:
        return (row for unit in self.units for row in unit.rows)


def planned(base: Base, config: TrainConfig, sides: Sides) -> TrainingPlan:
    train, held_out, newest = sides
    if config.datasets_uri:
        train = decontaminate(train, held_out, every_golden(Store(config.datasets_uri), config.target))
    rows = encoded_by_domain((train, held_out), config, base.tokenizer)
    serving = loaded_serving(base, config)
    others = extra_exam_data(config, rows, newest, base.tokenizer)
    exams = {name: exam(name, config, rows, others, serving) for name, (learned, _) in rows.items() if learned}
    return TrainingPlan(rows, units(config, rows), serving, exams, others.triggers)


def within(context: int | None, config: TrainConfig) -> TrainConfig:
    """Rows as long as the base can read: a model with a learned position for each place has no other."""
    if context is None or config.training.max_sequence_length <= context:
        return config
    log.warning("train: rows have at most the %d tokens of the base's context, not training.maxSequenceLength", context)
    return config.model_copy(update={"training": config.training.model_copy(update={"max_sequence_length": context})})


def judged(
    base: Base, config: TrainConfig, plan: TrainingPlan, trained: Mapping[str, Adapter], meter: ProgressMeter
) -> tuple[TrainedAdapter, ...]:
    """Of each domain: the verdict, and the adapter published where it is for it."""
    with meter.of_stage("Evaluating"):
        evidence = examined(base, {**trained, **plan.serving}, plan.exams, plan.triggers, meter.evaluated)
    with meter.of_stage("Publishing"):
        learned = {name: plan.rows[name][0] for name in plan.exams}
        publishers = {
            name: DomainPublisher(name, config, base, trained[name], evidence[name], len(rows), sum(row.truncated for row in rows))
            for name, rows in learned.items()
        }
        return tuple(publishers[name].run() if name in publishers else nothing_to_learn(name) for name in plan.rows)


def loaded_serving(base: Base, config: TrainConfig) -> dict[str, Adapter]:
    """What serves now, by `serving_name`; what cannot be loaded is left out, and the base stands in."""
    loaded = {serving_name(one.domain): load_serving(base, one) for one in config.serving}
    return {name: adapter for name, adapter in loaded.items() if adapter}


def tracked(config: TrainConfig) -> Run:
    """What a run tracker is told before the first step: names and numbers."""
    parts = {"lora": config.lora, "training": config.training}
    settings = {f"{part}_{name}": str(value) for part, fields in parts.items() for name, value in fields.to_wire().items()}
    return Run(config.target, config.job, {"base_model": config.base_model, "dataset": config.dataset.digest} | settings)


def fetch_rows(config: TrainConfig) -> Sides:
    """Raises NeedsEdit (DATASET_MISMATCH) if they are not the files that were harvested."""
    store = Store(config.dataset.uri)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            get_folder(store, DATA_FILES, folder)
        except FileNotFoundError as error:
            raise TryLater(FaultReason.STORE_UNAVAILABLE, f"{error} is missing: is the datasets store mounted here?") from error
        if digest_of([folder / name for name in DATA_FILES]) != config.dataset.digest:
            raise NeedsEdit(FaultReason.DATASET_MISMATCH, f"{store.uri} is not what was harvested: its digest is another")
        train, held_out, newest = (read_rows(folder / name) for name in DATA_FILES)
    return train, held_out, newest
