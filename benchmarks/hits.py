"""Asks for one answer again and again, over plain sockets: a client that costs so little that the server's own time is what is seen.

Run as a process of its own, `python -m hits CPU PORT SECONDS CONNECTIONS`, request on stdin; prints one JSON line.
"""

import json
import os
import selectors
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Hits:
    per_second: float
    p50: float
    """Milliseconds."""
    p99: float


def request(body: dict[str, object], headers: dict[str, str]) -> bytes:
    content = json.dumps(body).encode()
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(["POST /v1/chat/completions HTTP/1.1", "Host: bench", f"Content-Length: {len(content)}", *lines])
    return head.encode() + b"\r\n\r\n" + content


def measure(port: int, asked: bytes, *, cpu: int, seconds: float, connections: int) -> Hits:
    """In another process, on that core."""
    command = [sys.executable, __file__, str(cpu), str(port), str(seconds), str(connections)]
    return Hits(**json.loads(subprocess.run(command, input=asked, capture_output=True, check=True).stdout))


def load(port: int, asked: bytes, seconds: float, connections: int) -> Hits:
    """Each connection sends its next request when it has its answer."""
    selector = selectors.DefaultSelector()
    began = time.perf_counter()
    latencies: list[float] = []
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, _Request(connection, asked))
    while time.perf_counter() - began < seconds:
        for key, _ in selector.select(1):
            if (latency := key.data.read()) is not None:
                latencies.append(latency)
    latencies.sort()
    count = len(latencies)
    return Hits(count / (time.perf_counter() - began), 1000 * latencies[count // 2], 1000 * latencies[int(count * 0.99)])


class _Request:
    def __init__(self, connection: socket.socket, asked: bytes) -> None:
        self._connection = connection
        self._asked = asked
        self._send()

    def read(self) -> float | None:
        """Seconds, when the answer is whole. Raises RuntimeError when it is no hit."""
        self._got += self._connection.recv(65536)
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return None
        latency = time.perf_counter() - self._sent
        if b"hit-exact" not in head:
            raise RuntimeError("not a hit")
        self._send()
        return latency

    def _send(self) -> None:
        self._got = b""
        self._sent = time.perf_counter()
        self._connection.sendall(self._asked)


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    print(json.dumps(asdict(load(int(sys.argv[2]), sys.stdin.buffer.read(), float(sys.argv[3]), int(sys.argv[4])))))
