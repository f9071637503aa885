"""One person's entries in the record of a target."""

from collections.abc import Iterator
from typing import cast

import redis

from tuneloop_contracts.record import erased_key, kind_of, streams_pattern
from tuneloop_trainer.forget.person import TELLING, Person
from tuneloop_trainer.harvest.key_types import is_text, must_hold, number_of

PAGE = 500
"""Entries read, or removed, in one round trip."""

REMOVE = """
local removed = redis.call('XDEL', KEYS[1], unpack(ARGV))
if removed > 0 then
  local counts, stream = redis.call('PTTL', KEYS[2]), redis.call('PTTL', KEYS[1])
  redis.call('HINCRBY', KEYS[2], KEYS[1], removed)
  if stream < 0 then
    redis.call('PERSIST', KEYS[2])
  elseif counts ~= -1 and counts < stream then
    redis.call('PEXPIRE', KEYS[2], stream)
  end
end
return removed
"""
"""With a count of what was removed, so that the next harvest does not take it for lost. KEYS: the stream, the counts of its shard, which
stay for as long as the last stream that they count for: its retention is the server's to choose."""

Recorded = dict[str, list[bytes]]
"""Ids of entries, by stream."""


def find_recorded(client: "redis.Redis", target: str, kind: str, person: Person) -> Recorded:
    """In the streams of one kind: those of answers come first, since they tell which feedback is on the person's own."""
    streams = sorted({key.decode() for key in client.scan_iter(match=streams_pattern(target), count=1000) if is_text(key)})
    of_kind = [stream for stream in streams if kind_of(stream) == kind]
    must_hold(client, "stream", of_kind)
    _check_counts(client, of_kind)
    found = {stream: [at for at, fields in _entries(client, stream) if person.is_in(fields)] for stream in of_kind}
    return {stream: ids for stream, ids in found.items() if ids}


def _check_counts(client: "redis.Redis", streams: list[str]) -> None:
    """Before anything goes: what cannot be counted would pass for lost. Raises NeedsEdit."""
    must_hold(client, "hash", sorted(set(map(erased_key, streams))))
    for stream in streams:
        number_of(erased_key(stream), stream, cast("bytes | None", client.hget(erased_key(stream), stream)))


def remove_recorded(client: "redis.Redis", recorded: Recorded) -> None:
    remove = client.register_script(REMOVE)
    for stream, ids in recorded.items():
        for first in range(0, len(ids), PAGE):
            remove([stream, erased_key(stream)], ids[first : first + PAGE])


def _entries(client: "redis.Redis", stream: str) -> Iterator[tuple[bytes, dict[str, str]]]:
    """Of each only what tells whose it is."""
    first = b"-"
    while page := cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(stream, first, b"+", count=PAGE)):
        for at, fields in page:
            yield at, {name: fields[name.encode()].decode(errors="replace") for name in TELLING if name.encode() in fields}
        first = b"(" + page[-1][0]
