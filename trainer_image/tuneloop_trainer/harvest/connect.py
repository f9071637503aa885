"""The connection to the Redis of a target. Retrying is Patience's, which says what it waits for."""

import logging

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.utils import HIREDIS_AVAILABLE

from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.errors import NeedsEdit

log = logging.getLogger("tuneloop")

SOCKET_TIMEOUT = 30.0
CONNECT_TIMEOUT = 5.0


def connect(url: str) -> "redis.Redis":
    """Lazy: no connection is made yet. Raises NeedsEdit."""
    require_hiredis(HIREDIS_AVAILABLE)
    try:
        return redis.Redis.from_url(
            url, socket_timeout=SOCKET_TIMEOUT, socket_connect_timeout=CONNECT_TIMEOUT, retry=Retry(NoBackoff(), 0)
        )
    except ValueError:
        pass  # its text holds the URL
    raise NeedsEdit(FaultReason.INVALID_CONFIG, "the Redis URL cannot be read: redis://[user[:password]@]host[:port][/number]")


def require_hiredis(available: bool) -> None:
    """An image without the C parser is broken, not slow: a day's harvest would take a week's. Raises NeedsEdit."""
    if not available:
        raise NeedsEdit(FaultReason.INVALID_CONFIG, "redis-py has no hiredis: reading would take 8 times as long; install redis[hiredis]")
