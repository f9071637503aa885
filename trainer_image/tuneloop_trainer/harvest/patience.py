"""Waits for a Redis that is away. The harvest pod stays: a new one would lose what was read, and count as a failure."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
    TimeoutError,
    TryAgainError,
)

from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.errors import TryLater

log = logging.getLogger("tuneloop")

T = TypeVar("T")

LIMIT = 900.0
"""Seconds without one answer after which the pod gives up: a restart or a failover takes less, and a node is not held for ever."""
LONGEST_PAUSE = 5.0

MESSAGES = {
    FaultReason.REDIS_UNREACHABLE: "Redis does not answer: check the url in the Redis secret, and that the network lets this pod through",
    FaultReason.REDIS_UNAUTHORIZED: "Redis refuses the user or the password: mend the url in the Redis secret",
}


REDIS_ERRORS = (RedisError, RedisClusterException)
"""All that redis-py raises: what it says of a cluster is no RedisError."""
_ON_THE_MOVE = RedisClusterException | ClusterDownError | TryAgainError | AskError
"""What a cluster says while slots or masters change; MovedError is an AskError."""


@dataclass
class Patience:
    """`call` asks until Redis answers. Raises TryLater after LIMIT seconds; its text never holds the URL."""

    waiting: Callable[[FaultReason], None]
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def call(self, ask: Callable[[], T]) -> T:
        started, pause, told = self.clock(), 0.2, False
        while True:
            try:
                return ask()
            except REDIS_ERRORS as error:
                reason = reason_of(error)
                if self.clock() - started + pause > LIMIT:
                    raise TryLater(reason, MESSAGES[reason]) from error
            if not told:
                log.warning("waiting: %s", MESSAGES[reason])
                told = True
            self.waiting(reason)
            self.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


@contextmanager
def answering_at_once() -> Iterator[None]:
    """For a command, where somebody is waiting. Raises TryLater instead of what Redis raised; its text never holds the URL."""
    try:
        yield
    except REDIS_ERRORS as error:
        reason = reason_of(error)
        raise TryLater(reason, MESSAGES[reason]) from error


def reason_of(error: RedisError | RedisClusterException) -> FaultReason:
    """Raises the error again if waiting cannot mend it: then it is our own mistake."""
    if isinstance(error, AuthenticationError | AuthorizationError | NoPermissionError):
        return FaultReason.REDIS_UNAUTHORIZED
    if isinstance(error, ConnectionError | TimeoutError | BusyLoadingError | _ON_THE_MOVE):
        return FaultReason.REDIS_UNREACHABLE
    raise error
