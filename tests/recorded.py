"""The record that a Redis holds, as the harvest reads it."""

from itertools import chain

import redis

from tuneloop_contracts.record import Record
from tuneloop_trainer.harvest.decode import StreamEntry


def recorded(client: "redis.Redis", streams: str = "tuneloop:*:rec:*") -> list[Record]:
    """In the order of writing. `client`: one that decodes nothing."""
    entries = [entry for stream in sorted(client.scan_iter(streams)) for entry in client.xrange(stream)]  # type: ignore[union-attr]
    read = [StreamEntry(key, [*chain.from_iterable(fields.items())]).record for key, fields in entries]
    assert None not in read
    return [record for record in read if record]
