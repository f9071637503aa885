"""One person's entries in the archive of a target."""

from dataclasses import dataclass

from tuneloop_contracts.record import kind_of
from tuneloop_contracts.stores import Store
from tuneloop_trainer.forget.person import Person
from tuneloop_trainer.harvest.segments import SealedEntry, Segment, archive_store, every_segment, read_sealed, write_sealed


@dataclass(frozen=True)
class SealedEntries:
    """A segment with lines of the person."""

    segment: Segment
    ids: frozenset[str]


def find_sealed(datasets: Store, target: str, kind: str, person: Person) -> list[SealedEntries]:
    """In the segments of one kind of streams."""
    parts = [part for part in every_segment(archive_store(datasets, target), target) if kind_of(part.stream) == kind]
    found = [SealedEntries(part, frozenset(line.at for line in read_sealed(part) if person.is_in(line.fields or {}))) for part in parts]
    return [sealed for sealed in found if sealed.ids]


def remove_sealed(sealed: SealedEntries) -> None:
    """Its name stays, and with it the count of what was sealed: nobody takes for lost what was taken out."""
    lines: list[SealedEntry] = read_sealed(sealed.segment)
    write_sealed(sealed.segment, [line for line in lines if line.at not in sealed.ids])
