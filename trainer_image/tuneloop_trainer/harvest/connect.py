"""The connection to the Redis of a target, however that is deployed. RetryPolicy retries, and says what it waits for."""

from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.connection import ConnectionPool, SSLConnection, parse_url
from redis.exceptions import RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel
from redis.utils import HIREDIS_AVAILABLE

from tuneloop_contracts.jobs import RedisMode
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.redis import URL_FORMS, read_sentinel_url
from tuneloop_trainer.errors import NeedsEdit

SOCKET_TIMEOUT = 30.0
CONNECT_TIMEOUT = 5.0


def connect(url: str, mode: RedisMode = RedisMode.STANDALONE) -> "redis.Redis":
    """Asks a cluster where its keys are, and one server whether it is a node of one. Raises NeedsEdit, and what RetryPolicy waits for."""
    require_hiredis(HIREDIS_AVAILABLE)
    options = {"socket_timeout": SOCKET_TIMEOUT, "socket_connect_timeout": CONNECT_TIMEOUT, "retry": Retry(NoBackoff(), 0)}
    try:
        match mode:
            case RedisMode.STANDALONE:
                return _alone(redis.Redis.from_url(url, **options))
            case RedisMode.SENTINEL:
                return _master(url, options)
            case RedisMode.CLUSTER:
                return _cluster(url, options)
    except (ValueError, TypeError):  # the second for an option after the `?` that redis-py does not know
        pass  # its text holds the URL
    raise NeedsEdit(FaultReason.INVALID_CONFIG, f"the Redis URL cannot be read; with mode {mode} it is {URL_FORMS[mode]}")


def pool_of(client: "redis.Redis", key: str, *, anew: bool) -> ConnectionPool:
    """Of the node that holds the key; `anew`: after an error, a cluster is asked again which one that is."""
    if not isinstance(client, RedisCluster):
        return client.connection_pool
    if anew:
        client.nodes_manager.initialize()
    return client.get_redis_connection(client.get_node_from_key(key)).connection_pool


def require_hiredis(available: bool) -> None:
    """An image without the C parser is broken, not slow: what takes a minute would take eight. Raises NeedsEdit."""
    if not available:
        raise NeedsEdit(FaultReason.INVALID_CONFIG, "redis-py has no hiredis: reading would take 8 times as long; install redis[hiredis]")


def _alone(client: "redis.Redis") -> "redis.Redis":
    """A node of a cluster would show a share of the keys, and pass for all: somebody would be forgotten by a third."""
    try:
        if not _is_one_of_several(client):
            return client
    except redis.exceptions.NoPermissionError:
        return client  # who may not ask has to know
    except BaseException:
        client.close()
        raise
    client.close()
    raise NeedsEdit(FaultReason.INVALID_CONFIG, f"this Redis is a node of a cluster: set the mode {RedisMode.CLUSTER}")


def _is_one_of_several(client: "redis.Redis") -> bool:
    if not client.info("cluster").get("cluster_enabled"):
        return False
    return int(cast("dict[str, str]", client.cluster("INFO"))["cluster_size"]) > 1


def _master(url: str, options: dict[str, Any]) -> "redis.Redis":
    """Whichever node is the master whenever a connection is made. Raises ValueError."""
    sentinels = read_sentinel_url(url)
    node: dict[str, Any] = parse_url(sentinels.node)  # type: ignore[no-untyped-call]
    tls = {"ssl": True} if node.pop("connection_class", None) is SSLConnection else {}
    del node["host"]
    theirs = {"password": sentinels.password} if sentinels.password else {}
    asked = {key: value for key, value in options.items() if key != "retry"} | tls | theirs
    watching = Sentinel(sentinels.addresses, sentinel_kwargs=asked, **options, **node, **tls)  # type: ignore[no-untyped-call]
    return cast("redis.Redis", watching.master_for(sentinels.service))  # type: ignore[no-untyped-call]


def _cluster(url: str, options: dict[str, Any]) -> "redis.Redis":
    try:
        return cast("redis.Redis", RedisCluster.from_url(url, **options))  # not its subclass, but it gives the same calls
    except RedisClusterException as error:
        if "not enabled" in str(error):
            raise NeedsEdit(FaultReason.INVALID_CONFIG, f"this Redis is no cluster: set the mode {RedisMode.STANDALONE}") from error
        raise error.__cause__ if isinstance(error.__cause__, redis.RedisError) else redis.ConnectionError() from error
