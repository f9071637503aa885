"""A training from its document, in a pod or by hand: only reported where it is done already, several processes where so many are
wished, else here. Without torch as long as nothing is trained."""

import atexit
import gc
import logging
import sys
from collections.abc import Mapping

from tuneloop_contracts.jobs import TrainConfig
from tuneloop_contracts.progress import Report
from tuneloop_trainer.learn.finished import finished_report
from tuneloop_trainer.reporting import Reporter
from tuneloop_trainer.stopping import Stop
from tuneloop_trainer.workers import is_launched

log = logging.getLogger("tuneloop")


def run_training(config: TrainConfig, reporter: Reporter, stop: Stop, env: Mapping[str, str]) -> Report:
    """Raises TryLater or NeedsEdit; SystemExit where it was asked to stop, and where other processes did the work."""
    if report := finished_report(config):
        log.info("train: the report for these inputs is already there")
        return report
    if config.workers.together > 1 and not is_launched(env):
        from tuneloop_trainer.learn.launch import launch

        with stop.keeping():  # torchrun hears the signal too, and ends what it started
            sys.exit(launch(config, env))
    gc.disable()  # what is imported stays for good: to look for cycles in it takes a tenth of the time
    from tuneloop_trainer.learn.job import train_job  # torch: seconds, so only now
    from tuneloop_trainer.learn.process_group import ProcessGroup

    gc.freeze()
    atexit.register(gc.unfreeze)  # else triton ends with a page of what it calls leaks
    gc.enable()
    group = ProcessGroup.from_env(env)
    with group.joined():
        return train_job(config, reporter, stop, group)
