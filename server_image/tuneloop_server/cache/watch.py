"""Hears from Redis which answers have changed, so that a pod's memory may be trusted.

Redis' own client-side caching, in its broadcasting mode: https://redis.io/docs/latest/develop/reference/client-side-caching/
Of a cluster every master is followed, or memory is not used: each tells of its own keys only.
It covers all that can happen to a key (another pod's write, a thumbs-down, expiry, eviction, FLUSHALL) without a word from our side.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError, RedisError, ResponseError

from tuneloop_server.circuit import CircuitBreaker, RedisUnavailable

log = logging.getLogger(__name__)

CHANNEL = "__redis__:invalidate"
PERIOD = 1.0
"""Seconds of silence after which Redis is asked whether it is there, and then given as long to answer: a removal in another pod may stay
unheard for twice that, if the network drops packets without a word."""
PAUSE = 1.0
"""Seconds before a lost connection is made anew."""


class InvalidationListener(Protocol):
    def watched(self, yes: bool) -> None: ...

    def changed(self, keys: list[str] | None) -> None: ...


async def watch(breaker: CircuitBreaker, prefix: str, cache: InvalidationListener) -> None:
    """Until cancelled; `cache` is told whenever this begins and ends to work. `breaker`: the one that the cache is read by."""
    told = False
    while True:
        try:
            await breaker.run(_ping, patience=PERIOD)  # after which it knows the nodes
            await _follow(breaker, prefix, cache)
        except* ResponseError as refused:
            if not told:
                why = type(refused.exceptions[0]).__name__
                log.warning("Redis of the cache does not tell of changes (%s): each hit is read from it", why)
                told = True
        except* (RedisUnavailable, RedisError, OSError, TimeoutError):
            pass
        finally:
            cache.watched(False)
        await asyncio.sleep(PAUSE)


async def _follow(breaker: CircuitBreaker, prefix: str, cache: InvalidationListener) -> None:
    """Until one of the nodes is lost, or others hold keys. Raises RedisError or OSError, also in groups."""
    followed = breaker.nodes()
    connections = [
        dial(protocol=2, socket_connect_timeout=PERIOD, socket_timeout=PERIOD, decode_responses=True) for dial in followed.values()
    ]
    try:
        for connection in connections:
            await _subscribe(connection, prefix)
        cache.watched(True)
        async with asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(_listen(connection, cache, lambda: breaker.nodes().keys() == followed.keys()))
    finally:
        for connection in connections:
            await connection.disconnect(nowait=True)


async def _subscribe(connection: AbstractConnection, prefix: str) -> None:
    await connection.connect()  # type: ignore[no-untyped-call] # sending would do it too, but past the sentinels
    own = await _ask(connection, "CLIENT", "ID")
    await _ask(connection, "CLIENT", "TRACKING", "ON", "REDIRECT", str(own), "BCAST", "PREFIX", prefix)
    await _ask(connection, "SUBSCRIBE", CHANNEL)


async def _listen(connection: AbstractConnection, cache: InvalidationListener, all_are_followed: Callable[[], bool]) -> None:
    silent = False
    while all_are_followed():
        message: Any = await connection.read_response(timeout=PERIOD)
        if message is None and silent:
            raise ConnectionError("silence")
        silent = message is None
        if silent:
            await connection.send_command("PING")
        elif message[0] == "message":
            cache.changed(message[2])
    raise ConnectionError("others hold keys now")


async def _ping(redis: Redis) -> None:
    await redis.ping()


async def _ask(connection: AbstractConnection, *command: str) -> Any:
    await connection.send_command(*command)
    return await connection.read_response()
