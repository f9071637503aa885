"""From what a dataset was made: what it takes to make the same one again, or to see why that cannot be."""

from pathlib import Path

from tuneloop_contracts import domains
from tuneloop_contracts.base import digest_of
from tuneloop_contracts.dataset import DatasetManifest, ImportCounts, StreamRead
from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_contracts.names import RELEASE
from tuneloop_trainer import curate
from tuneloop_trainer import domains as classification
from tuneloop_trainer.config import inputs_digest
from tuneloop_trainer.curate.funnel import Curated


def manifest_of(
    curated: Curated, config: HarvestConfig, files: list[Path], streams: tuple[StreamRead, ...], imported: tuple[ImportCounts, ...]
) -> DatasetManifest:
    return DatasetManifest(
        tool=f"tuneloop {RELEASE}",
        inputs=f"sha256:{inputs_digest(config)}",
        target=config.target,
        from_=config.window_start,
        to=config.window_end,
        streams=streams,
        filters=filter_versions(),
        golden=curated.golden,
        read=curated.read,
        dropped=curated.dropped,
        redacted=curated.redacted,
        imported=imported,
        files={file.name: digest_of([file]) for file in sorted(files)},
    )


def filter_versions() -> dict[str, str]:
    """Each step by the digest of its code and data: a number would only grow where somebody thinks of it."""
    ours, texts = Path(curate.__file__).parent, Path(classification.__file__).parent
    steps = {str(file.relative_to(ours).with_suffix("")): file for file in sorted(ours.rglob("*.py"))}
    steps |= {f"domains/{file.relative_to(texts)}": file for file in sorted(texts.rglob("*")) if file.suffix in (".py", ".txt")}
    return {name: digest_of([file]) for name, file in (steps | {"domains": Path(domains.__file__)}).items()}
