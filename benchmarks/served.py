"""The real server with the real model, a real Redis, and what a bench does to them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from redisserver import RedisServer
from serverprocess import BASE, ServerProcess

QUESTION = "How do I get a refund for an order that came broken?"
TOKENS = 128
HEADERS = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "bench"}


def question(text: str = QUESTION, **fields: object) -> dict[str, object]:
    return {"model": BASE, "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": TOKENS} | fields


@contextmanager
def served() -> Iterator[ServerProcess]:
    redis = RedisServer().start()
    try:
        with TemporaryDirectory() as folder, ServerProcess(Path(folder), REDIS_URL=redis.url, MAX_NEW_TOKENS="256") as server:
            server.apply()
            yield server.start()
    finally:
        redis.stop()


def pin(server: ServerProcess, *cpus: int) -> None:
    """Every thread of it."""
    assert server.process
    for thread in os.listdir(f"/proc/{server.process.pid}/task"):
        os.sched_setaffinity(int(thread), cpus)
