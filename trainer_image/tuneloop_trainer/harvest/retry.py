"""Waits for a Redis that is away. The harvest pod stays: a new one would lose what was read, and count as a failure."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.errors import TryLater
from tuneloop_trainer.harvest.redis_errors import REDIS_ERRORS, fault_of_redis

log = logging.getLogger("tuneloop")

T = TypeVar("T")

LIMIT = 900.0
"""Seconds without one answer after which the pod gives up: a restart or a failover takes less, and a node is not held for ever."""
LONGEST_PAUSE = 5.0


@dataclass
class RetryPolicy:
    """`call` asks until Redis answers. Raises TryLater after LIMIT seconds, and NeedsEdit for what waiting cannot mend; neither's text
    holds the URL."""

    waiting: Callable[[FaultReason], None]
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def call(self, ask: Callable[[], T]) -> T:
        started, pause, told = self.clock(), 0.2, False
        while True:
            try:
                return ask()
            except REDIS_ERRORS as error:
                trouble = fault_of_redis(error)
                if self.clock() - started + pause > LIMIT:
                    raise TryLater(trouble.reason, trouble.message) from error
            if not told:
                log.warning("waiting: %s", trouble.message)
                told = True
            self.waiting(trouble.reason)
            self.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


@contextmanager
def without_retry() -> Iterator[None]:
    """For a command, where somebody is waiting. Raises TryLater or NeedsEdit instead of what Redis raised; neither's text holds
    the URL."""
    try:
        yield
    except REDIS_ERRORS as error:
        trouble = fault_of_redis(error)
        raise TryLater(trouble.reason, trouble.message) from error
