"""The record with what was sealed of it: Redis is asked only for what came after the last sealed id of each stream, its watermark.

What is new is sealed first, then the window is read from the archive alone, whole. So a harvest by watermark gives the very rows that
one of everything would, by whatever curation and feedback there is by now, and days that have left Redis are still there. To keep the
rows of the dataset before would be less to read, but could not give a row its place back that another, too old by now, took from it.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tuneloop_contracts.dataset import StreamRead
from tuneloop_contracts.record import FEEDBACK_KIND, RECORD_KIND, Feedback, days_between, kind_of
from tuneloop_contracts.stores import Store
from tuneloop_trainer.curate.example import EntryId
from tuneloop_trainer.harvest.decode import StreamEntry, entry_id, feedback_of, id_bytes
from tuneloop_trainer.harvest.pages import oldest_first
from tuneloop_trainer.harvest.segments import SealedEntry, Segment, read_sealed, sealed_entry, segments, write_sealed
from tuneloop_trainer.harvest.source import (
    Source,
    StreamTally,
    Watermark,
    Watermarks,
    day_of,
    feedback_streams,
    merged,
    milliseconds,
    newest_of,
)

SEGMENT_BYTES = 32 * 2**20
"""Text of one segment, about: it is packed and unpacked in memory."""
BEGINNING: EntryId = (0, 0)


@dataclass
class Archive:
    """In a Source's place, over the same window."""

    source: Source
    store: Store
    streams: list[StreamRead] = field(default_factory=list, init=False)

    @property
    def lost(self) -> int:
        return sum(stream.lost for stream in self.streams)

    def entries(self, watermarks: Watermarks) -> Generator[StreamEntry]:
        """As Source.entries; also of days that are in Redis no more."""
        self.seal(watermarks)
        sealed = segments(self.store, self.source.target)
        for day in reversed(days_between(self.source.start, self.source.end)):
            streams = [name for name in sealed if kind_of(name) == RECORD_KIND and day_of(name) == day]
            yield from merged([self._window(name, sealed[name]) for name in streams])

    def feedback(self, shards: int, now: datetime) -> dict[str, Feedback]:
        """As Source.feedback."""
        self.seal(self.source.watermarks_of(feedback_streams(self.source.target, shards, self.source.start, now)))
        days = set(days_between(self.source.start, now))
        every = segments(self.store, self.source.target).items()
        parts = (part for name, parts in every if kind_of(name) == FEEDBACK_KIND and day_of(name) in days for part in parts)
        return newest_of((entry_id(line.at.encode()), feedback_of(line.flat())) for part in parts for line in read_sealed(part))

    def seal(self, watermarks: Watermarks) -> None:
        """What came after the last sealed entry of each stream, up to its watermark."""
        sealed = segments(self.store, self.source.target)
        for name, watermark in watermarks.items():
            parts = sealed.get(name, ())
            if not parts or watermark.last > parts[-1].last:
                self._seal(name, watermark, parts)

    def _seal(self, name: str, watermark: Watermark, parts: Sequence[Segment]) -> None:
        """Oldest first, in segments that are whole each: a pod that is killed leaves a watermark further on, and no gap."""
        after = parts[-1].last if parts else BEGINNING
        lines: list[SealedEntry] = []
        size, known = 0, sum(part.count + part.lost for part in parts)
        for page in oldest_first(self.source.client, self.source.retry, name, b"(" + id_bytes(after), id_bytes(watermark.last)):
            if size > SEGMENT_BYTES:
                full = Segment(self.store, name, after, entry_id(lines[-1].at.encode()), len(lines))
                write_sealed(full, lines)
                after, lines, size = full.last, [], 0
            lines += [sealed_entry(key, flat) for key, flat in page]
            size += sum(sum(map(len, flat)) for _, flat in page)
            known += len(page)
        self.source.still_there(name, watermark)
        write_sealed(Segment(self.store, name, after, watermark.last, len(lines), lost=max(0, watermark.added - known)), lines)

    def _window(self, name: str, parts: Sequence[Segment]) -> Generator[StreamEntry]:
        start, end = milliseconds(self.source.start), milliseconds(self.source.end)
        within = [part for part in reversed(parts) if part.last[0] >= start and part.after[0] < end]
        read = StreamTally()
        try:
            for at, line in _newest_first(within):
                if start <= at[0] < end:
                    key = line.at.encode()
                    read.add([(key, ())])
                    yield StreamEntry(key, line.flat())
        finally:
            self.streams.append(read.of(name, lost=sum(part.lost for part in within)))


def _newest_first(parts: Sequence[Segment]) -> Iterator[tuple[EntryId, SealedEntry]]:
    """What two segments both hold comes once."""
    oldest: EntryId | None = None
    for part in parts:
        for line in reversed(read_sealed(part)):
            at = entry_id(line.at.encode())
            if oldest is None or at < oldest:
                oldest = at
                yield at, line
