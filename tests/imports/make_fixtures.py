"""Lets each library write its caches, in an environment of its own, and keeps what Redis then holds.

    PYTHONPATH=tests python -m imports.make_fixtures [writer ...]

Needs redis-server, uv (by $UV or on the path) and a package registry; takes some minutes the first time. The texts are ours.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import redis

from imports.queryengine import QueryEngine, query_engine
from redisserver import RedisServer

HERE = Path(__file__).parent
WRITERS = {file.stem: file for file in sorted((HERE / "writers").glob("*.py"))}
READS = {"hash": "HGETALL", "list": "LRANGE", "string": "GET", "ReJSON-RL": "JSON.GET"}


def packages(writer: Path) -> list[str]:
    """With their versions, as the script pins them."""
    (line,) = re.findall(r"^# dependencies = (\[.*\])$", writer.read_text(), re.MULTILINE)
    return list(json.loads(line))


def make(writer: Path) -> dict[str, object]:
    server = RedisServer().start()
    try:
        with query_engine(server.port) as engine:
            uv = os.environ.get("UV", "uv")
            subprocess.run([uv, "run", "-q", "--no-project", "--script", str(writer), engine.url], check=True)
            return {"packages": packages(writer), "keys": dump(engine)}
    finally:
        server.stop()


def dump(engine: QueryEngine) -> list[dict[str, object]]:
    """Bytes as Latin-1: a character for each, and texts stay readable."""
    with redis.Redis.from_url(engine.url, protocol=2) as client:
        keys = sorted(client.keys())
        return [{"key": key.decode(), "kind": (kind := client.type(key).decode()), "value": _value(client, key, kind)} for key in keys]


def _value(client: "redis.Redis", key: bytes, kind: str) -> object:
    if kind == "hash":
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in client.hgetall(key).items()}
    if kind == "list":
        return [item.decode("latin-1") for item in client.lrange(key, 0, -1)]
    return client.execute_command(READS[kind], key).decode("latin-1")


if __name__ == "__main__":
    for name in sys.argv[1:] or WRITERS:
        fixture = json.dumps(make(WRITERS[name]), indent=1, ensure_ascii=True)
        (HERE / "fixtures" / f"{name}.json").write_text(fixture + "\n")
