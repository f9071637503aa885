"""The keys of a fixture: as a layout sees them, and put back into a Redis."""

import json
from pathlib import Path
from typing import Any

import redis

from tuneloop_trainer.imports.layout import RedisValue

HERE = Path(__file__).parent


def fixture(name: str) -> dict[str, Any]:
    return dict(json.loads((HERE / "fixtures" / f"{name}.json").read_text()))


def stored(name: str) -> list[RedisValue]:
    return [_stored(one["key"], one["kind"], one["value"]) for one in fixture(name)["keys"]]


def load(client: "redis.Redis", name: str) -> None:
    for one in stored(name):
        if one.kind == "hash":
            client.hset(one.key, mapping=dict(one.fields))  # type: ignore[arg-type]
        elif one.kind == "list":
            client.rpush(one.key, *one.items)
        elif one.kind == "string":
            client.set(one.key, one.value)
        else:
            client.execute_command("JSON.SET", one.key, "$", one.value)


def _stored(key: str, kind: str, value: Any) -> RedisValue:
    if kind == "hash":
        return RedisValue(key, kind, fields={name: text.encode("latin-1") for name, text in value.items()})
    if kind == "list":
        return RedisValue(key, kind, items=tuple(item.encode("latin-1") for item in value))
    return RedisValue(key, kind, value=value.encode("latin-1"))
