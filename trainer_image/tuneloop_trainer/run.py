"""The whole turn in one process, without Kubernetes: the two jobs that the operator would make, one after the other."""

import argparse
import hashlib
import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from tuneloop_contracts.base import HUB_SCHEME
from tuneloop_contracts.dataset import Dataset, DomainCounts
from tuneloop_contracts.domains import DEFAULT_DOMAINS
from tuneloop_contracts.jobs import CONFIG_ENV, EXIT_DONE, REDIS_URL_ENV, Gate, HarvestConfig, Lora, RedisMode, TrainConfig, Training
from tuneloop_contracts.model import Wire
from tuneloop_contracts.progress import Report, TrainedAdapter
from tuneloop_contracts.stores import Store
from tuneloop_trainer.config import harvest_config, redis_url, train_config
from tuneloop_trainer.curate.redact.presidio import finder
from tuneloop_trainer.harvest.collect import Harvest
from tuneloop_trainer.harvest.dataset import dataset_store
from tuneloop_trainer.learn.base_folder import base_folder
from tuneloop_trainer.learn.start import run_training
from tuneloop_trainer.reporting import Reporter
from tuneloop_trainer.stopping import Stop
from tuneloop_trainer.store import get_bytes, put_bytes, remove_file
from tuneloop_trainer.table import as_table

log = logging.getLogger("tuneloop")

UNFINISHED = "unfinished"
"""Below --out, while a run is not done: what was asked, and when."""


def whole_turn(options: argparse.Namespace, env: Mapping[str, str], stop: Stop, *, now: datetime) -> int:
    """Raises TryLater or NeedsEdit, as the two jobs do; what can be seen to be wrong with either, before the first begins.

    A run that was killed is taken up by the next with the same options: it has the same window, and finds dataset and checkpoint.
    """
    url = redis_url({REDIS_URL_ENV: options.redis or env.get(REDIS_URL_ENV, "")})
    unfinished = Store(_uri(options.out, UNFINISHED))
    now = began(options, unfinished, now)
    harvest = harvest_config(_as_env(requested_harvest(options, now)))
    train = train_config(_as_env(requested_training(options, harvest)))
    base_folder(train)
    put_bytes(unfinished, f"{_asked(options)} {now.isoformat()}".encode())
    reporter = Reporter.from_env(env)
    dataset = Harvest(harvest, reporter, finder(env)).run(url, now=now)
    if dataset.trainable:
        report = run_training(train.model_copy(update={"dataset": dataset}), reporter, stop, env)
        print(results(dataset, report))
    else:
        counts = ", ".join(f"{domain.name} {domain.examples}" for domain in dataset.domains)
        advice = "record more, or try a larger --window-days or a smaller --min-examples"
        nothing = f"; nothing is recorded of {options.target} in these days: `inspect` shows what is" if not dataset.read else ""
        print(f"InsufficientData: no domain has {options.min_examples} examples: {counts}; {advice}{nothing}")
    remove_file(unfinished)
    return EXIT_DONE


def began(options: argparse.Namespace, unfinished: Store, now: datetime) -> datetime:
    """When the run of these options began: `now`, or when one did that was not finished."""
    asked, _, at = (get_bytes(unfinished) or b"").decode().partition(" ")
    if asked != _asked(options):
        return now
    log.info("run: goes on with the run of %s; to begin anew, delete %s", at, unfinished.location)
    return datetime.fromisoformat(at)


def _asked(options: argparse.Namespace) -> str:
    """A digest of all but where the Redis is: that holds a password."""
    asked = {name: value for name, value in vars(options).items() if name != "redis"}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def requested_harvest(options: argparse.Namespace, now: datetime) -> HarvestConfig:
    namespace = options.target.split("/")[0]
    return HarvestConfig(
        job=f"{namespace}/run-{now:%Y%m%d-%H%M%S}",
        target=options.target,
        redis_mode=RedisMode(options.redis_mode),
        window_start=(now - timedelta(days=options.window_days)).isoformat(),
        window_end=now.isoformat(),
        domains=DEFAULT_DOMAINS,
        selected=tuple(options.domains),
        tenants=tuple(options.tenants),
        min_examples_per_domain=options.min_examples,
        held_out=options.held_out,
        min_held_out=options.min_held_out,
        datasets_uri=_uri(options.out, "datasets"),
        seed=options.seed,
    )


def requested_training(options: argparse.Namespace, harvest: HarvestConfig) -> TrainConfig:
    """The dataset in it is only the place where it will be."""
    place = dataset_store(harvest).uri
    base = options.base_model if "://" in options.base_model else _uri(options.base_model)
    return TrainConfig(
        job=harvest.job,
        target=harvest.target,
        base_model=_name_of(base),
        base_uri=base,
        dataset=Dataset(uri=place, digest="", from_=harvest.window_start, to=harvest.window_end, read=0, kept=0),
        adapters_uri=_uri(options.out, "adapters"),
        datasets_uri=harvest.datasets_uri,
        lora=Lora(rank=options.rank, alpha=options.alpha),
        training=Training(
            epochs=options.epochs,
            learning_rate=options.learning_rate,
            max_sequence_length=options.max_sequence_length,
            tokens_per_step=options.tokens_per_step,
            seed=options.seed,
        ),
        gate=Gate(min_held_out=options.min_held_out),
    )


def results(dataset: Dataset, report: Report) -> str:
    """One line for each domain, the short ones too."""
    trained = {adapter.domain: adapter for adapter in report.adapters}
    head = ("DOMAIN", "EXAMPLES", "LOSS", "VERDICT", "FOLDER")
    table = as_table(head, [_line(domain, trained.get(domain.name)) for domain in dataset.domains])
    return f"{table}\n{report.run_url}" if report.run_url else table


def _line(domain: DomainCounts, trained: TrainedAdapter | None) -> tuple[str, ...]:
    examples = f"{domain.train}+{domain.held_out}"
    if trained is None:
        return (domain.name, examples, "-", domain.reason or "-", "-")
    loss = f"{trained.loss.base or '?'} -> {trained.loss.candidate or '?'}"
    return (domain.name, examples, loss, str(trained.verdict), trained.uri.removeprefix("file://") or "-")


def _as_env(wish: Wire) -> dict[str, str]:
    return {CONFIG_ENV: wish.model_dump_json(by_alias=True)}


def _name_of(base_uri: str) -> str:
    """The last part of where it is; a hub's revision is no part of it."""
    place = base_uri.partition("@")[0] if base_uri.startswith(HUB_SCHEME) else base_uri
    return place.rstrip("/").rpartition("/")[2]


def _uri(folder: str, *parts: str) -> str:
    return "file://" + str(Path(folder).resolve().joinpath(*parts))
