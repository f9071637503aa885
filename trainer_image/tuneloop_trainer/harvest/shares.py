"""A harvest over several pods. Each asks what the conversations of its share offer, which is nearly all of the work, and writes it down.
The first one then reads the whole window as it would alone, and looks up what was written.

So the dataset is that of one pod, whatever becomes of the others: what nobody wrote down, or what people have said of an answer
meanwhile, is worked out on the spot.
"""

import hashlib
import heapq
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from tuneloop_contracts.jobs import INDEX_ENV, PODS_ENV
from tuneloop_contracts.record import Feedback, Record
from tuneloop_trainer.curate.admit import OVER_LIMIT
from tuneloop_trainer.curate.example import EntryId, Example, Recorded
from tuneloop_trainer.curate.offer import IN_GOLDEN_SET, Dropped, Offer
from tuneloop_trainer.harvest.parts import OfferLine, PartWriter


@dataclass(frozen=True)
class Share:
    """One pod's of `pods`: whole conversations, since the turns of one repeat each other."""

    index: int = 0
    pods: int = 1

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Share":
        return cls(int(env.get(INDEX_ENV, "0")), int(env.get(PODS_ENV, "1")))

    def of(self, entries: Iterator[Recorded]) -> Iterator[Recorded]:
        """In their order; without those that are not ours, which offer nothing."""
        return (entry for entry in entries if (record := entry.record) and self._holds(record))

    def _holds(self, record: Record) -> bool:
        return zlib.crc32((record.conversation or record.id).encode()) % self.pods == self.index


ALONE = Share()


@dataclass(frozen=True)
class OfferWriter:
    """An Offer that is written down, but for what depends on which domains were full."""

    offer: Offer
    part: PartWriter

    def __call__(
        self, at: EntryId, record: Record, domain: Callable[[], str], feedback: Feedback | None, full: Collection[str]
    ) -> Example | Dropped:
        offered = self.offer(at, record, domain, feedback, full)
        if isinstance(offered, Example) or offered.reason != OVER_LIMIT:
            self.part.add(OfferLine(at, record.id, feedback_digest(feedback), offered))
        return offered


@dataclass
class OfferLookup:
    """An Offer that is looked up in parts, each newest first; what none tells is asked of `offer`. It is asked newest first too."""

    parts: list[Iterator[OfferLine]]
    offer: Offer
    _at: EntryId | None = field(default=None, init=False)
    _known: dict[tuple[str, str], Example | Dropped] = field(default_factory=dict, init=False)
    """Of the entries at that id, in whatever stream."""

    def __post_init__(self) -> None:
        self._lines = heapq.merge(*self.parts, key=attrgetter("at"), reverse=True)
        self._next = next(self._lines, None)

    def __call__(
        self, at: EntryId, record: Record, domain: Callable[[], str], feedback: Feedback | None, full: Collection[str]
    ) -> Example | Dropped:
        if at != self._at:
            self._go_to(at)
        offered = self._known.get((record.id, feedback_digest(feedback)))
        if offered is None:
            return self.offer(at, record, domain, feedback, full)
        ruled_out = isinstance(offered, Dropped) and offered.reason != IN_GOLDEN_SET
        return offered if ruled_out or offered.domain not in full else Dropped(OVER_LIMIT, offered.domain)

    def _go_to(self, at: EntryId) -> None:
        self._at, self._known = at, {}
        while self._next and self._next.at >= at:
            if self._next.at == at:
                self._known[self._next.id, self._next.said] = self._next.offered
            self._next = next(self._lines, None)


def feedback_digest(feedback: Feedback | None) -> str:
    """Stands for what was said of an answer: an offer is only good for the same. "" for nothing."""
    return hashlib.blake2b(repr(feedback).encode(), digest_size=8).hexdigest() if feedback else ""
