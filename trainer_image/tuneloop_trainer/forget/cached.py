"""Answers that one person was given, in the server's cache. An answer to a question that was not recorded is not found, and gone within
the cache's time to live."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import redis

from tuneloop_contracts.answers import FORGET_FIELD, KEY_FIELD, exact_entry, key_of, semantic_stream
from tuneloop_trainer.harvest.key_types import must_hold

PAGE = 200
"""Entries of the semantic cache read in one round trip; each holds a vector."""


@dataclass(frozen=True)
class CachedAnswers:
    exact: tuple[str, ...]
    """Redis' names of the entries."""
    semantic: dict[bytes, str]
    """The cache's key of each entry, by the entry's id."""


def find_cached(client: "redis.Redis", target: str, interactions: Iterable[str]) -> CachedAnswers:
    must_hold(client, "stream", [semantic_stream(target)])
    keys = {key for interaction in interactions if (key := key_of(interaction))}
    exact = tuple(name for key in sorted(keys) if client.exists(name := exact_entry(key)))
    return CachedAnswers(exact, {at: key for at, key in _semantic(client, semantic_stream(target)) if key in keys})


def remove_cached(client: "redis.Redis", target: str, cached: CachedAnswers) -> None:
    """Every pod hears of it: of the first by Redis' own tracking, of the second by the stream that it follows."""
    stream = semantic_stream(target)
    for name in cached.exact:
        client.delete(name)
    for at, key in cached.semantic.items():
        pipe = client.pipeline(transaction=True)
        pipe.xadd(stream, {FORGET_FIELD: key})
        pipe.xdel(stream, at)
        pipe.execute()


def _semantic(client: "redis.Redis", stream: str) -> Iterable[tuple[bytes, str]]:
    first = b"-"
    while page := cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(stream, first, b"+", count=PAGE)):
        yield from ((at, fields.get(KEY_FIELD.encode(), b"").decode(errors="replace")) for at, fields in page)
        first = b"(" + page[-1][0]
