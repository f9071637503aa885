"""Clients for the Redis of a target, however that is deployed. They connect when they are first used."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import AbstractConnection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisClusterException

from tuneloop_contracts.jobs import RedisMode
from tuneloop_contracts.redis import read_sentinel_url

_NUMBER = re.compile(r"/?[0-9]*")
SOCKET_TIMEOUT = 5.0
"""Seconds; only so that no connection hangs for ever: how long a piece of work may take is for others to say."""


def connect(url: str, mode: RedisMode) -> Redis:
    """Raises ValueError for a URL that is not one of this mode; its text may hold the URL."""
    if mode is RedisMode.STANDALONE and not _NUMBER.fullmatch(urlsplit(url).path) and not url.startswith("unix:"):
        raise ValueError("the client would pass over what is no number, as a service of a sentinel")
    patience = {"socket_timeout": SOCKET_TIMEOUT, "socket_connect_timeout": SOCKET_TIMEOUT}
    # once more, since Redis or a proxy may have closed a connection that was idle; the client's own ten tries would take seconds
    again = Retry(NoBackoff(), 1, (ConnectionError,))
    options: dict[str, Any] = patience | {"retry": again, "decode_responses": True}
    match mode:
        case RedisMode.STANDALONE:
            return Redis.from_url(url, **options)
        case RedisMode.SENTINEL:
            return _master(url, patience, options)
        case RedisMode.CLUSTER:
            return _cluster(url, options)


def is_readable(url: str, mode: RedisMode) -> bool:
    try:
        connect(url, mode)
    except ValueError:
        return False
    return True


Nodes = Mapping[str, Callable[..., AbstractConnection]]


def nodes(client: Redis) -> Nodes:
    """Who holds keys, as far as this client knows by now; and how to make a connection of one's own to each, with other options."""
    if isinstance(client, RedisCluster):
        return {node.name: partial(node.connection_class, **node.connection_kwargs) for node in client.get_primaries()}
    pool = client.connection_pool
    name = str(pool.master_address) if isinstance(pool, SentinelConnectionPool) else ""
    return {name: partial(pool.connection_class, **pool.connection_kwargs)}


def _master(url: str, patience: dict[str, Any], options: dict[str, Any]) -> Redis:
    """Whichever node is the master whenever a connection is made. Raises ValueError."""
    sentinels = read_sentinel_url(url)
    node: dict[str, Any] = dict(parse_url(sentinels.node))
    tls = {"ssl": True} if node.pop("connection_class", None) is SSLConnection else {}
    del node["host"]
    asked = patience | tls | ({"password": sentinels.password} if sentinels.password else {})
    watching = Sentinel(sentinels.addresses, sentinel_kwargs=asked, **options, **node, **tls)  # type: ignore[no-untyped-call]
    return cast("Redis", watching.master_for(sentinels.service))


def _cluster(url: str, options: dict[str, Any]) -> Redis:
    try:
        return cast("Redis", RedisCluster.from_url(url, **options))  # not its subclass, but it gives the same calls
    except RedisClusterException as error:
        raise ValueError(str(error)) from error
