"""What keys hold: of the type that they should be, or people are told which one is not."""

from collections.abc import Sequence
from typing import cast

import redis

from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.record import meta_key
from tuneloop_trainer.errors import NeedsEdit

MOST_SHARDS = 1024
"""Each is a stream a day that a harvest asks for; the server writes one."""


def must_hold(client: "redis.Redis", kind: str, keys: Sequence[str]) -> None:
    """`kind` as Redis' TYPE says it; a key that does not exist is right. Raises NeedsEdit naming the first that is of another."""
    with client.pipeline(transaction=False) as asking:
        for key in keys:
            asking.type(key)
        kinds = [cast(bytes, found).decode() for found in asking.execute()]
    for key, found in zip(keys, kinds, strict=True):
        if found not in (kind, "none"):
            raise NeedsEdit(
                FaultReason.INVALID_CONFIG,
                f"Redis key {key} is a {found} and must be a {kind}: something else wrote it; move it away with "
                f"`redis-cli RENAME {key} {key}.moved`, or name another Redis",
            )


def shards_of(target: str, value: bytes | None) -> int:
    """Of the target's own key; 0 where there is none yet. Raises NeedsEdit."""
    return number_of(meta_key(target), "shards", value, most=MOST_SHARDS)


def number_of(key: str, field: str, value: bytes | None, *, most: int = 2**63 - 1) -> int:
    """Of a field of a hash. Raises NeedsEdit for what is no whole number from 0 to `most`."""
    text = (value or b"0").decode(errors="replace")
    number = int(text) if text.isdecimal() and text.isascii() and len(text) < 20 else -1
    if not 0 <= number <= most:
        raise NeedsEdit(
            FaultReason.INVALID_CONFIG,
            f"Redis key {key}, field {field}: {text[:40]!r} must be a whole number from 0 to {most}; mend it with "
            f"`redis-cli HSET {key} {field} NUMBER`",
        )
    return number


def is_text(key: bytes) -> bool:
    """What is none is no key of ours, nor of a library's."""
    try:
        key.decode()
    except UnicodeDecodeError:
        return False
    return True
