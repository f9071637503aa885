"""The URL of the Redis of a target, by how that is deployed. Pure.

    Standalone   redis://[user[:password]@]host[:port][/number]
    Sentinel     redis://[user[:password]@]sentinel[:port][,sentinel[:port]...]/service[/number][?sentinel_password=...]
    Cluster      redis://[user[:password]@]host[:port], any node of it

`rediss://` for TLS in each, with redis-py's options after the `?`.
"""

from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from tuneloop_contracts.jobs import RedisMode

SENTINEL_PORT = 26379

URL_FORMS = {
    RedisMode.STANDALONE: "redis://[user[:password]@]host[:port][/number]",
    RedisMode.SENTINEL: "redis://[user[:password]@]sentinel[:port][,sentinel[:port]...]/service[/number]",
    RedisMode.CLUSTER: "redis://[user[:password]@]host[:port]",
}


class Sentinels(NamedTuple):
    """Who knows the master, and how it is then spoken to."""

    addresses: tuple[tuple[str, int], ...]
    service: str
    password: str | None
    """The sentinels' own."""
    node: str
    """URL of the master, but for its host, which is a stand-in."""


def read_sentinel_url(url: str) -> Sentinels:
    """Raises ValueError, whose text may hold the URL."""
    parts = urlsplit(url)
    who, at, where = parts.netloc.rpartition("@")
    service, _, number = parts.path.strip("/").partition("/")
    addresses = tuple((one.hostname or "", one.port or SENTINEL_PORT) for one in (urlsplit(f"//{host}") for host in where.split(",")))
    if not service or not all(host for host, _ in addresses):
        raise ValueError("no service, or a sentinel without a host")
    query = dict(parse_qsl(parts.query))
    password = query.pop("sentinel_password", None)
    return Sentinels(addresses, service, password, f"{parts.scheme}://{who}{at}node/{number}?{urlencode(query)}")
