"""The report of a training that is done already. Without torch: a pod that comes again reports within a second."""

import logging

from pydantic import ValidationError

from tuneloop_contracts.adapters import CONFIG_FILE
from tuneloop_contracts.jobs import TrainConfig
from tuneloop_contracts.progress import Report, TrainedAdapter
from tuneloop_contracts.stores import Store
from tuneloop_trainer.config import inputs_digest
from tuneloop_trainer.errors import TryLater
from tuneloop_trainer.store import get_bytes, put_bytes

log = logging.getLogger("tuneloop")


def finished_report(config: TrainConfig) -> Report | None:
    """Of an earlier pod, if every artifact that it names is still there."""
    content = get_bytes(_report_file(config))
    if content is None:
        return None
    try:
        report = Report.model_validate_json(content)
    except ValidationError:
        return None
    return report if all(_is_there(adapter) for adapter in report.adapters) else None


def keep_report(config: TrainConfig, report: Report) -> None:
    """For a pod that comes again. What is published is published: a store that does not take this costs a second training at most."""
    try:
        put_bytes(_report_file(config), report.model_dump_json(by_alias=True, exclude_none=True).encode())
    except TryLater as error:
        log.warning("the report was not kept: %s", error.fault.message)


def _report_file(config: TrainConfig) -> Store:
    """Beside the adapters: a training pod may only read the datasets."""
    return Store(config.adapters_uri).below("_reports", f"{inputs_digest(config)[:16]}.json")


def _is_there(adapter: TrainedAdapter) -> bool:
    return not adapter.uri or get_bytes(Store(adapter.uri).below(CONFIG_FILE)) is not None
