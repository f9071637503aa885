"""Keys by prefix, and what they hold. Reads only: SCAN, TYPE, HGETALL, LRANGE, GET and JSON.GET."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import redis

from tuneloop_trainer.harvest.key_types import is_text
from tuneloop_trainer.harvest.retry import RetryPolicy
from tuneloop_trainer.imports.layout import JSON_KIND, RedisValue

PAGE = 500
"""Keys whose values are asked for in one round trip."""
COUNT = 1000
"""Keys that the server looks at for one SCAN."""


@dataclass(frozen=True)
class KeyReader:
    client: "redis.Redis"
    retry: RetryPolicy

    def below(self, prefix: str) -> list[str]:
        """In order, each once: SCAN may give a key twice. What is no text is no key of a library's."""
        found = self.retry.call(lambda: set(self.client.scan_iter(match=_pattern(prefix), count=COUNT)))
        return sorted(key.decode() for key in found if is_text(key))

    def values(self, keys: Sequence[str]) -> Iterator[RedisValue]:
        """Those that are still there; of a type that no library uses, only the name."""
        for first in range(0, len(keys), PAGE):
            page = keys[first : first + PAGE]
            yield from self.retry.call(lambda page=page: self._page(page))  # type: ignore[misc]

    def _page(self, keys: Sequence[str]) -> list[RedisValue]:
        asking = self.client.pipeline(transaction=False)
        for key in keys:
            asking.type(key)
        kinds = {key: kind.decode() for key, kind in zip(keys, asking.execute(), strict=True)}
        readable = [key for key in keys if kinds[key] in READS]
        asking = self.client.pipeline(transaction=False)
        for key in readable:
            asking.execute_command(READS[kinds[key]], key, *RANGE.get(kinds[key], ()))  # type: ignore[no-untyped-call]
        answers = zip(readable, asking.execute(raise_on_error=False), strict=True)
        read = [_stored(key, kinds[key], answer) for key, answer in answers if not _is_gone(answer)]
        return read + [RedisValue(key, kind) for key, kind in kinds.items() if kind not in READS and kind != "none"]


READS = {"hash": "HGETALL", "list": "LRANGE", "string": "GET", JSON_KIND: "JSON.GET"}
RANGE = {"list": (0, -1)}


def _stored(key: str, kind: str, answer: object) -> RedisValue:
    if kind == "hash":
        fields = cast("dict[bytes, bytes]", answer)
        return RedisValue(key, kind, fields={name.decode(errors="replace"): value for name, value in fields.items()})
    if kind == "list":
        return RedisValue(key, kind, items=tuple(cast("list[bytes]", answer)))
    return RedisValue(key, kind, value=cast(bytes, answer))


def _is_gone(answer: object) -> bool:
    """It expired, or became something else, between the two questions."""
    return answer is None or answer in ({}, []) or isinstance(answer, redis.ResponseError)


def _pattern(prefix: str) -> str:
    return re.sub(r"([*?\[\]\\])", r"\\\1", prefix) + "*"
