"""The documents in TUNELOOP_CONFIG, parsed at the door: every fault at once, by its path."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TypeVar

from pydantic import ValidationError

from tuneloop_contracts.base import HUB_SCHEME
from tuneloop_contracts.jobs import CONFIG_ENV, REDIS_URL_ENV, HarvestConfig, TrainConfig
from tuneloop_contracts.model import Wire
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.stores import BadUri, Store
from tuneloop_trainer.errors import NeedsEdit

W = TypeVar("W", bound=Wire)
QUANTIZERS = ("bitsandbytes", "accelerate")
"""What NF4 needs beside the trainer: the extra `qlora`."""
LARGEST_SEED = 2**31 - 1
"""As of a FineTuneJob; torch takes no seed of more than 64 bits."""


def harvest_config(env: Mapping[str, str]) -> HarvestConfig:
    """Raises NeedsEdit naming every faulty field; UNKNOWN_DOMAIN for a selected domain that the target has not."""
    config = _parse(HarvestConfig, env)
    _refuse(list(_harvest_faults(config)))
    unknown = sorted(set(config.selected) - {domain.name for domain in config.domains})
    if unknown:
        known = ", ".join(domain.name for domain in config.domains)
        raise NeedsEdit(FaultReason.UNKNOWN_DOMAIN, f"data.domains names {', '.join(unknown)}, but the target has {known}")
    return config


def train_config(env: Mapping[str, str]) -> TrainConfig:
    """Raises NeedsEdit naming every faulty field."""
    config = _parse(TrainConfig, env)
    _refuse(list(_train_faults(config)))
    return config


def redis_url(env: Mapping[str, str]) -> str:
    """Raises NeedsEdit without ever showing the value: it holds a password."""
    url = env.get(REDIS_URL_ENV, "")
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise NeedsEdit(FaultReason.INVALID_CONFIG, f"{REDIS_URL_ENV} must be redis://, rediss:// or unix://; see the Redis secret")
    return url


def store_at(uri: str) -> Store:
    """Named on a command line. Raises NeedsEdit."""
    try:
        return Store(uri)
    except BadUri as error:
        raise NeedsEdit(FaultReason.INVALID_CONFIG, str(error)) from error


def inputs_digest(config: Wire) -> str:
    """Names one set of inputs: equal documents give equal work, so a finished result may be reported again."""
    document = json.dumps(config.to_wire(), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(document.encode()).hexdigest()


def moment(text: str) -> datetime:
    """RFC 3339 to an aware time; without an offset it is UTC. Raises ValueError."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _parse(kind: type[W], env: Mapping[str, str]) -> W:
    document = env.get(CONFIG_ENV, "")
    if not document:
        raise NeedsEdit(FaultReason.INVALID_CONFIG, f"{CONFIG_ENV} is empty; the operator fills it, or use `run` without Kubernetes")
    try:
        return kind.model_validate_json(document)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or CONFIG_ENV}: {fault['msg']}" for fault in error.errors(include_input=False)]
    raise NeedsEdit(FaultReason.INVALID_CONFIG, "; ".join(faults))


def _refuse(faults: list[str]) -> None:
    if faults:
        raise NeedsEdit(FaultReason.INVALID_CONFIG, "; ".join(faults))


def _harvest_faults(config: HarvestConfig) -> Iterator[str]:
    yield from name_faults("job", config.job)
    yield from name_faults("target", config.target)
    yield from _window_faults(config)
    yield from _uri_faults("datasetsUri", config.datasets_uri)
    if not config.domains:
        yield "domains: at least one is needed"
    yield from _least_faults({
        "minExamplesPerDomain": config.min_examples_per_domain, "maxExamplesPerDomain": config.max_examples_per_domain,
        "curation.maxPerUser": config.curation.max_per_user,
    })  # fmt: skip
    if not 0 <= config.held_out <= 0.5:
        yield f"heldOut: {config.held_out} is not between 0 and 0.5"
    if not 0 < config.curation.near_duplicates <= 1:
        yield f"curation.nearDuplicates: {config.curation.near_duplicates} is not above 0 and at most 1 (1 turns it off)"


def _window_faults(config: HarvestConfig) -> Iterator[str]:
    try:
        start, end = moment(config.window_start), moment(config.window_end)
    except ValueError:
        yield "windowStart, windowEnd: must be RFC 3339 times"
        return
    if start >= end:
        yield "windowStart: must be before windowEnd"


def _train_faults(config: TrainConfig) -> Iterator[str]:
    yield from name_faults("job", config.job)
    for field, uri in (("adaptersUri", config.adapters_uri), ("dataset.uri", config.dataset.uri)):
        yield from _uri_faults(field, uri)
    if not config.base_uri.startswith(HUB_SCHEME):
        yield from _uri_faults("baseUri", config.base_uri)
    yield from _least_faults({
        "lora.rank": config.lora.rank, "lora.alpha": config.lora.alpha, "training.epochs": config.training.epochs,
        "training.tokensPerStep": config.training.tokens_per_step,
    })  # fmt: skip
    if config.training.max_sequence_length < 8:
        yield f"training.maxSequenceLength: {config.training.max_sequence_length} is not at least 8"
    if not 0 <= config.lora.dropout < 1:
        yield f"lora.dropout: {config.lora.dropout} is not between 0 and 1"
    if not 0 < config.training.learning_rate <= 1:
        yield f"training.learningRate: {config.training.learning_rate} is not above 0 and at most 1"
    if not 0 <= config.training.seed <= LARGEST_SEED:
        yield f"training.seed: {config.training.seed} is not between 0 and {LARGEST_SEED}"
    if config.training.quantization != "None" and (missing := [name for name in QUANTIZERS if not find_spec(name)]):
        fix = "use None, or name an image with tuneloop's extra qlora in pods.image"
        yield f"training.quantization: {config.training.quantization} needs {' and '.join(missing)}, not in this image; {fix}"


def _least_faults(numbers: Mapping[str, int]) -> Iterator[str]:
    yield from (f"{name}: {number} is not at least 1" for name, number in numbers.items() if number < 1)


def name_faults(field: str, name: str) -> Iterator[str]:
    if len(parts := name.split("/")) != 2 or not all(parts):
        yield f"{field}: must be <namespace>/<name>"


def _uri_faults(field: str, uri: str) -> Iterator[str]:
    try:
        Store(uri)
    except BadUri as error:
        yield f"{field}: {error}"
