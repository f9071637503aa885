"""The training job: what is wanted, what is there already, all adapters at once, then a verdict on each."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tuneloop_contracts.base import digest_of
from tuneloop_contracts.dataset import DATA_FILES, HELD_OUT_FILE, TRAIN_FILE
from tuneloop_contracts.jobs import TrainConfig
from tuneloop_contracts.progress import FaultReason, Report
from tuneloop_contracts.stores import Store
from tuneloop_trainer.collected import opened
from tuneloop_trainer.errors import NeedsEdit, TryLater
from tuneloop_trainer.learn.base import load_base
from tuneloop_trainer.learn.base_folder import base_folder, checked_digest
from tuneloop_trainer.learn.checkpoint import Keeper
from tuneloop_trainer.learn.domain import DomainTurn, encoded_by_domain, nothing_to_learn
from tuneloop_trainer.learn.effort import Effort
from tuneloop_trainer.learn.finished import keep_report
from tuneloop_trainer.learn.memory import memory_named
from tuneloop_trainer.learn.precision import choose
from tuneloop_trainer.learn.ranks import ALONE, Ranks
from tuneloop_trainer.learn.threads import use_allowed_cpus
from tuneloop_trainer.learn.together import train_together
from tuneloop_trainer.learn.trainee import Unit
from tuneloop_trainer.reporting import Reporter
from tuneloop_trainer.rows import Row, read_rows
from tuneloop_trainer.stopping import Stop
from tuneloop_trainer.store import check_writable, get_folder
from tuneloop_trainer.trackers import Run


def train_job(config: TrainConfig, reporter: Reporter, stop: Stop | None = None, ranks: Ranks = ALONE) -> Report:
    """Raises TryLater or NeedsEdit. (Whether it was done before is `finished.finished_report`'s to say.)

    Of several `ranks` only the first judges, publishes and reports. With `stop` asked for, what is trained is kept, and SystemExit raised.
    """
    started = time.monotonic()
    reporter.progress("Training", 0)
    asked = config
    config = config.model_copy(update={"dataset": opened(config.dataset)})
    if config.publish:
        check_writable(Store(config.adapters_uri))
    folder = base_folder(config)
    digest = checked_digest(folder, config)
    rows = fetch_rows(config)
    use_allowed_cpus()
    with memory_named():
        base = load_base(folder, config, digest, choose(config.training.precision))
        loaded = time.monotonic()
        encoded = encoded_by_domain(rows, config, base.tokenizer)
        effort = Effort.of(encoded, config, reporter)
        units = [Unit(name, train, config.training.seed) for name, (train, _) in encoded.items() if train]
        reporter.tracking.begin(tracked(config))
        effort.enter("Training")
        keeper = Keeper.of(asked, stop or Stop(), ranks)
        with keeper.keeping():
            trained = train_together(base, units, config.lora, config.training, effort.trained, keeper)
        if not ranks.is_first:
            return Report()
        adapters = tuple(
            DomainTurn(name, config, base, encoded, effort, trained[name]).run() if name in trained else nothing_to_learn(name)
            for name in config.dataset.trainable
        )
    seconds = {"load": round(loaded - started, 1), "train": round(time.monotonic() - loaded, 1)} | effort.seconds
    learned_of = config.dataset if asked.dataset.is_only_named else None
    report = Report(dataset=learned_of, adapters=adapters, seconds=seconds, run_url=reporter.tracking.end() or None)
    keep_report(asked, report)
    keeper.forget()
    return report


def tracked(config: TrainConfig) -> Run:
    """What a run tracker is told before the first step: names and numbers."""
    parts = {"lora": config.lora, "training": config.training}
    settings = {f"{part}_{name}": str(value) for part, fields in parts.items() for name, value in fields.to_wire().items()}
    return Run(config.target, config.job, {"base_model": config.base_model, "dataset": config.dataset.digest} | settings)


def fetch_rows(config: TrainConfig) -> tuple[list[Row], list[Row]]:
    """Train and held out. Raises NeedsEdit (DATASET_MISMATCH) if they are not the files that were harvested."""
    store = Store(config.dataset.uri)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            get_folder(store, DATA_FILES, folder)
        except FileNotFoundError as error:
            raise TryLater(FaultReason.STORE_UNAVAILABLE, f"{error} is missing: is the datasets store mounted here?") from error
        if digest_of([folder / name for name in DATA_FILES]) != config.dataset.digest:
            raise NeedsEdit(FaultReason.DATASET_MISMATCH, f"{store.uri} is not what was harvested: its digest is another")
        return read_rows(folder / TRAIN_FILE), read_rows(folder / HELD_OUT_FILE)
