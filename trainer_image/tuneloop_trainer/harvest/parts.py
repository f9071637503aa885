"""The files in which the pods of one harvest write down what their shares offer. Gone when the dataset is there.

    <datasets>/_parts/<namespace>/<target>/<the dataset's own name>/<index>.jsonl.zst

The first line is PartHeader; the others are OfferLine, newest first. What is in them is redacted like the dataset.
"""

import io
from collections.abc import Iterator

import msgspec
import zstandard

from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_contracts.stores import Store
from tuneloop_trainer.config import inputs_digest
from tuneloop_trainer.curate.example import EntryId, Example
from tuneloop_trainer.curate.golden import Golden
from tuneloop_trainer.curate.offer import Dropped
from tuneloop_trainer.harvest.dataset import dataset_store
from tuneloop_trainer.harvest.segments import LEVEL
from tuneloop_trainer.store import get_bytes, list_files, put_bytes, remove_file

FOLDER = "_parts"
"""No namespace can be called so, nor a job's dataset be in it."""


class PartHeader(msgspec.Struct, frozen=True):
    """By what the offers were decided, beside the entries: a part of another header is no part of this harvest."""

    inputs: str
    """Digest of the configuration."""
    golden: str
    """Digest of the golden sets."""


class OfferLine(msgspec.Struct, frozen=True):
    """What one entry offers."""

    at: EntryId
    id: str
    """Of the interaction."""
    said: str
    """Stands for the feedback on it."""
    offered: Example | Dropped


def header_of(config: HarvestConfig, golden: Golden) -> PartHeader:
    return PartHeader(inputs_digest(config), golden.digest)


class PartWriter:
    """A part as it grows, compressed in memory."""

    def __init__(self, header: PartHeader) -> None:
        self._packed, self._packer = bytearray(), zstandard.ZstdCompressor(LEVEL).compressobj()
        self._write(header)

    def add(self, line: OfferLine) -> None:
        self._write(line)

    def finish(self, store: Store) -> None:
        """Whole or not at all."""
        put_bytes(store, bytes(self._packed + self._packer.flush()))

    def _write(self, line: PartHeader | OfferLine) -> None:
        self._packed += self._packer.compress(_encoder.encode(line) + b"\n")


def parts_of_target(datasets: Store, target: str) -> Store:
    return datasets.below(FOLDER, *target.split("/"))


def part_store(config: HarvestConfig, index: int) -> Store:
    return _folder(config).below(f"{index}.jsonl.zst")


def parts_there(config: HarvestConfig) -> set[int]:
    """The indexes of those that are whole, of whatever header."""
    return {int(name.split(".")[0]) for name in list_files(_folder(config)) if name[:1].isdigit()}


def read_part(store: Store, header: PartHeader) -> Iterator[OfferLine]:
    """Nothing where there is no such part."""
    lines = _unpacked(store)
    if _head(lines) == header:
        yield from map(_decode_line, lines)


def has_part(store: Store, header: PartHeader) -> bool:
    return _head(_unpacked(store)) == header


def remove_parts(folder: Store) -> None:
    """Every one below it: they only save time."""
    for name in list_files(folder):
        remove_file(folder.below(*name.split("/")))


def remove_parts_of(config: HarvestConfig) -> None:
    remove_parts(_folder(config))


def _folder(config: HarvestConfig) -> Store:
    name = dataset_store(config).uri.rsplit("/", 1)[1]
    return parts_of_target(Store(config.datasets_uri), config.target).below(name)


def _unpacked(store: Store) -> Iterator[bytes]:
    packed = get_bytes(store) or b""
    return iter(io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(packed))) if packed else iter(())


def _head(lines: Iterator[bytes]) -> PartHeader | None:
    first = next(lines, None)
    return _decode_head(first) if first else None


_encoder = msgspec.json.Encoder()
_decode_head = msgspec.json.Decoder(PartHeader).decode
_decode_line = msgspec.json.Decoder(OfferLine).decode
