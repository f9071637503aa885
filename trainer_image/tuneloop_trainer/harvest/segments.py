"""The archive's files: parts of the streams, sealed. Raw text as users wrote it, so it lives in the datasets store and nowhere else.

    <datasets>/_archive/<namespace>/<target>/<YYYYMMDD>/<kind>-<shard>_<after>_<last>_<count>_<lost>.jsonl.zst

A line is `{"at": "<id>", "fields": {...}}`, oldest first; `fields` is null for an entry that is not text. The name says what must be
known without opening it, and stays when a person is forgotten and lines go.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import msgspec
import zstandard

from tuneloop_contracts.record import stream_of
from tuneloop_contracts.stores import Store
from tuneloop_trainer.curate.example import EntryId
from tuneloop_trainer.harvest.decode import Flat, entry_id, id_bytes, texts
from tuneloop_trainer.store import get_bytes, list_files, put_bytes

FOLDER = "_archive"
"""No namespace can be called so, nor a job's dataset be in it."""
LEVEL = 3
"""zstd's own default."""

_NAME = re.compile(r"(\d{8})/(rec|fb)-(\d+)_(\d+-\d+)_(\d+-\d+)_(\d+)_(\d+)\.jsonl\.zst")


class SealedEntry(msgspec.Struct, frozen=True):
    """A sealed entry."""

    at: str
    fields: dict[str, str] | None

    def flat(self) -> Flat:
        return [text.encode() for field in (self.fields or {}).items() for text in field]


@dataclass(frozen=True)
class Segment:
    """What came after one id of a stream, up to another."""

    archive: Store
    stream: str
    after: EntryId
    last: EntryId
    count: int
    """Entries that were sealed."""
    lost: int = 0
    """Entries that came after `after` and were gone when this was sealed."""

    @property
    def store(self) -> Store:
        kind, day, shard = parts_of(self.stream)
        span = f"{id_bytes(self.after).decode()}_{id_bytes(self.last).decode()}"
        return self.archive.below(day, f"{kind}-{shard}_{span}_{self.count}_{self.lost}.jsonl.zst")


def archive_store(datasets: Store, target: str) -> Store:
    return datasets.below(FOLDER, *target.split("/"))


def segments(archive: Store, target: str) -> dict[str, tuple[Segment, ...]]:
    """Of each stream, oldest first; one that another covers (two harvests at once) is left out."""
    found: dict[str, list[Segment]] = defaultdict(list)
    for segment in every_segment(archive, target):
        found[segment.stream].append(segment)
    return {stream: _chain(parts) for stream, parts in found.items()}


def every_segment(archive: Store, target: str) -> Iterator[Segment]:
    """Also those that others cover."""
    for name in list_files(archive):
        if match := _NAME.fullmatch(name):
            day, kind, shard, after, last, count, lost = match.groups()
            stream = stream_of(kind, target, int(shard), date.fromisoformat(day))
            yield Segment(archive, stream, entry_id(after.encode()), entry_id(last.encode()), int(count), int(lost))


def read_sealed(segment: Segment) -> list[SealedEntry]:
    """Raises FileNotFoundError for one that is gone."""
    content = get_bytes(segment.store)
    if content is None:
        raise FileNotFoundError(segment.store.uri)
    return _decoder.decode_lines(zstandard.decompress(content))


def write_sealed(segment: Segment, lines: Iterable[SealedEntry]) -> None:
    """Whole or not at all, in place of what was there."""
    put_bytes(segment.store, zstandard.compress(_encoder.encode_lines(lines), LEVEL))


def sealed_entry(key: bytes, flat: Flat) -> SealedEntry:
    try:
        return SealedEntry(key.decode(), texts(flat))
    except ValueError:
        return SealedEntry(key.decode(), None)


def parts_of(stream: str) -> tuple[str, str, str]:
    """Kind, day and shard."""
    tag, kind, day = stream.rsplit(":", 2)
    return kind, day, tag.rstrip("}").rsplit(":", 1)[-1]


def _chain(parts: Sequence[Segment]) -> tuple[Segment, ...]:
    chain: list[Segment] = []
    for part in sorted(parts, key=lambda part: (part.after, [-place for place in part.last])):
        if not chain or part.last > chain[-1].last:
            chain.append(part)
    return tuple(chain)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(SealedEntry)
