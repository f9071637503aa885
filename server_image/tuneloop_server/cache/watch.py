"""Hears from Redis which answers have changed, so that a pod's memory may be trusted.

Redis' own client-side caching, in its broadcasting mode: https://redis.io/docs/latest/develop/reference/client-side-caching/
It covers all that can happen to a key (another pod's write, a thumbs-down, expiry, eviction, FLUSHALL) without a word from our side.
"""

import asyncio
import logging
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError, RedisError, ResponseError

log = logging.getLogger(__name__)

CHANNEL = "__redis__:invalidate"
PERIOD = 1.0
"""Seconds of silence after which Redis is asked whether it is there, and then given as long to answer: a removal in another pod may stay
unheard for twice that, if the network drops packets without a word."""
PAUSE = 1.0
"""Seconds before a lost connection is made anew."""


class Watched(Protocol):
    def watched(self, yes: bool) -> None: ...

    def changed(self, keys: list[str] | None) -> None: ...


async def watch(url: str, prefix: str, cache: Watched) -> None:
    """Until cancelled; `cache` is told whenever this begins and ends to work."""
    client: Redis = Redis.from_url(url, protocol=2, socket_connect_timeout=PERIOD, socket_timeout=PERIOD, decode_responses=True)
    told = False
    while True:
        connection: AbstractConnection = client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await _follow(connection, prefix, cache)
        except (RedisError, OSError, TimeoutError) as error:
            if isinstance(error, ResponseError) and not told:
                log.warning("Redis of the cache does not tell of changes (%s): each hit is read from it", type(error).__name__)
                told = True
        finally:
            cache.watched(False)
            await connection.disconnect(nowait=True)
        await asyncio.sleep(PAUSE)


async def _follow(connection: AbstractConnection, prefix: str, cache: Watched) -> None:
    """Raises RedisError or OSError when the connection is lost."""
    own = await _ask(connection, "CLIENT", "ID")
    await _ask(connection, "CLIENT", "TRACKING", "ON", "REDIRECT", str(own), "BCAST", "PREFIX", prefix)
    await _ask(connection, "SUBSCRIBE", CHANNEL)
    cache.watched(True)
    silent = False
    while True:
        message: Any = await connection.read_response(timeout=PERIOD)
        if message is None and silent:
            raise ConnectionError("silence")
        silent = message is None
        if silent:
            await connection.send_command("PING")
        elif message[0] == "message":
            cache.changed(message[2])


async def _ask(connection: AbstractConnection, *command: str) -> Any:
    await connection.send_command(*command)
    return await connection.read_response()
