"""Real Redis servers that stand in for one another, for tests: a master and its replica under a sentinel, and a cluster of three."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis

from ports import free_port
from redisserver import DEADLINE, RedisServer
from waiting import wait_until

SERVICE = "mymaster"
SLOTS = 16384


@contextmanager
def under_sentinel(folder: Path) -> "Iterator[tuple[str, RedisServer]]":
    """The URL by which a client asks the sentinel, and the master as it is now."""
    with ExitStack() as stack:
        master = _started(stack, folder)
        replica = _started(stack, folder, "--replicaof", "127.0.0.1", str(master.port))
        wait_until(lambda: _info(replica, "replication")["master_link_status"] == "up", "the servers found each other")
        port = free_port()
        settings = folder / "sentinel.conf"
        settings.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor {SERVICE} 127.0.0.1 {master.port} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 300\nsentinel failover-timeout {SERVICE} 2000\n"
        )
        binary = shutil.which("redis-server")
        assert binary
        sentinel = subprocess.Popen([binary, str(settings), "--sentinel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(sentinel.wait, DEADLINE)
        stack.callback(sentinel.kill)
        wait_until(lambda: _ask(port, "SENTINEL", "REPLICAS", SERVICE), "the servers found each other")
        yield f"redis://127.0.0.1:{port}/{SERVICE}", master


@contextmanager
def clustered(folder: Path) -> Iterator[list[RedisServer]]:
    """Three masters with a third of the slots each, and no replica."""
    with ExitStack() as stack:
        nodes, buses = [], [free_port() for _ in range(3)]
        for bus in buses:
            options = ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-config-file", f"nodes-{bus}.conf")
            nodes.append(_started(stack, folder, *options))
        bounds = [n * SLOTS // 3 for n in range(4)]
        for n, node in enumerate(nodes):
            _ask(node.port, "CLUSTER", "ADDSLOTSRANGE", bounds[n], bounds[n + 1] - 1)
            _ask(nodes[0].port, "CLUSTER", "MEET", "127.0.0.1", node.port, buses[n])
        wait_until(lambda: all(b"cluster_state:ok" in _ask(node.port, "CLUSTER", "INFO") for node in nodes), "the servers found each other")
        yield nodes


def move_slot(nodes: list[RedisServer], slot: int) -> None:
    """From the node that has it to another one, keys and all."""
    names = [_ask(node.port, "CLUSTER", "MYID").decode() for node in nodes]
    source = next(n for n, node in enumerate(nodes) if _ask(node.port, "CLUSTER", "COUNTKEYSINSLOT", slot))
    target = (source + 1) % len(nodes)
    _ask(nodes[target].port, "CLUSTER", "SETSLOT", slot, "IMPORTING", names[source])
    _ask(nodes[source].port, "CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
    for key in _ask(nodes[source].port, "CLUSTER", "GETKEYSINSLOT", slot, 1000):
        _ask(nodes[source].port, "MIGRATE", "127.0.0.1", nodes[target].port, key, 0, 5000)
    for n in (target, source):
        _ask(nodes[n].port, "CLUSTER", "SETSLOT", slot, "NODE", names[target])


def _started(stack: ExitStack, folder: Path, *options: str) -> RedisServer:
    server = RedisServer(options=("--dir", str(folder), *options)).start()
    stack.callback(server.stop)
    return server


def _ask(port: int, *command: Any) -> Any:
    with redis.Redis(port=port) as client:
        return client.execute_command(*command)  # type: ignore[no-untyped-call]


def _info(server: RedisServer, section: str) -> Any:
    with redis.Redis.from_url(server.url) as client:
        return client.info(section)
