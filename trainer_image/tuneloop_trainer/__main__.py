"""`python -m tuneloop_trainer COMMAND`; see `commands`. Exit 0: done. 2: needs an edit, never retried. 1: try later."""

import argparse
import errno
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from tempfile import gettempdir

from tuneloop_contracts.jobs import EXIT_DONE, EXIT_TRY_LATER
from tuneloop_contracts.progress import Fault, FaultReason, Report
from tuneloop_trainer import commands
from tuneloop_trainer.config import harvest_config, redis_url, train_config
from tuneloop_trainer.errors import TrainerError
from tuneloop_trainer.reporting import Reporter
from tuneloop_trainer.stopping import Stop
from tuneloop_trainer.workers import is_first

log = logging.getLogger("tuneloop")

STOP = Stop()
"""Of this process: a signal comes to all of it."""


def main(arguments: list[str] | None = None) -> int:
    options = commands.parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.WARNING, stream=sys.stderr)
    log.setLevel(logging.INFO if is_first(os.environ) else logging.WARNING)
    STOP.exit_on_sigterm()
    return COMMANDS[options.command](options)


def harvest(options: argparse.Namespace) -> int:
    from tuneloop_trainer.curate.redact.presidio import finder
    from tuneloop_trainer.harvest.collect import Harvest
    from tuneloop_trainer.harvest.shares import Share

    def work(reporter: Reporter) -> Report:
        started, now = time.monotonic(), datetime.now(UTC)
        share = Share.from_env(os.environ)
        harvest = Harvest(harvest_config(os.environ), reporter, finder(os.environ), share)
        if share.index > 0:
            harvest.run_share(redis_url(os.environ), now=now)
            return Report()
        dataset = harvest.run(redis_url(os.environ), now=now)
        return Report(dataset=dataset, seconds={"harvest": round(time.monotonic() - started, 1)})

    return _reported(work)


def train(options: argparse.Namespace) -> int:
    from tuneloop_trainer.learn.start import run_training

    return _reported(lambda reporter: run_training(train_config(os.environ), reporter, STOP, os.environ))


def run(options: argparse.Namespace) -> int:
    from tuneloop_trainer.run import whole_turn

    return _guarded(lambda: whole_turn(options, os.environ, STOP, now=datetime.now(UTC)))


def inspect(options: argparse.Namespace) -> int:
    from tuneloop_trainer.inspection import show

    return _guarded(lambda: show(options, os.environ))


def redact(options: argparse.Namespace) -> int:
    from tuneloop_trainer.curate.redact.presidio import finder
    from tuneloop_trainer.curate.redact.replace import redact
    from tuneloop_trainer.lines import answer_stdin

    def work() -> int:
        find = finder(os.environ)
        return answer_stdin(lambda text: redact(text, find))

    return _guarded(work)


def classify(options: argparse.Namespace) -> int:
    from tuneloop_trainer.domains.classify import Classifier
    from tuneloop_trainer.domains.file import domains_in
    from tuneloop_trainer.lines import answer_stdin

    def work() -> int:
        classifier = Classifier(domains_in(options.domains))
        return answer_stdin(lambda text: classifier.classify(text).to_fields())

    return _guarded(work)


def forget(options: argparse.Namespace) -> int:
    from tuneloop_trainer.forget.command import forget

    return _guarded(lambda: forget(options, os.environ))


def import_chats(options: argparse.Namespace) -> int:
    from tuneloop_trainer.chat_files import import_chats

    return _guarded(lambda: import_chats(options, os.environ, now=datetime.now(UTC)))


def export_chats(options: argparse.Namespace) -> int:
    from tuneloop_trainer.chat_files import export_chats

    return _guarded(lambda: export_chats(options))


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "harvest": harvest, "train": train, "run": run, "inspect": inspect, "redact": redact, "classify": classify, "forget": forget,
    "import": import_chats, "export": export_chats,
}  # fmt: skip


def _reported(work: Callable[[Reporter], Report]) -> int:
    """Whatever happens, the operator is told."""
    reporter = Reporter.from_env(os.environ)
    report = Report()

    def told() -> int:
        nonlocal report
        report = work(reporter)
        return EXIT_DONE

    code = _guarded(told, on_fault=lambda fault: reporter.finish(Report(fault=fault)))
    if code == EXIT_DONE and is_first(os.environ):
        reporter.finish(report)
    return code


def _guarded(work: Callable[[], int], on_fault: Callable[[Fault], None] = lambda fault: None) -> int:
    """Exit codes for errors. Of one that nobody foresaw only its type and place are shown: its text may hold what must stay in."""
    try:
        return work()
    except TrainerError as error:
        fault, code = error.fault, error.exit_code
    except Exception as error:
        places = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
        log.error("%s", places)
        fault, code = _unforeseen(error), EXIT_TRY_LATER
    log.error("%s: %s", fault.reason, fault.message)
    on_fault(fault)
    return code


def _unforeseen(error: Exception) -> Fault:
    if os.strerror(errno.ENOSPC) in str(error):  # whichever library wrote: some raise no OSError
        message = f"{gettempdir()}, where files lie on their way, is full: give the pod more ephemeral storage, or another TMPDIR"
        return Fault(reason=FaultReason.STORE_UNAVAILABLE, message=message)
    return Fault(reason=FaultReason.INTERNAL, message=f"{type(error).__name__}; see the pod's log")


if __name__ == "__main__":
    sys.exit(main())
