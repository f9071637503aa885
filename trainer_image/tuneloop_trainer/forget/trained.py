"""Adapters that were trained on a dataset which held the person. They are named, not removed: whoever reads it decides what serves."""

from collections.abc import Collection

from pydantic import ValidationError

from tuneloop_contracts.adapters import PROVENANCE_FILE, Provenance
from tuneloop_contracts.stores import Store
from tuneloop_trainer.store import get_bytes, list_files


def trained_on(adapters: Store, digests: Collection[str]) -> list[str]:
    """Where they are, `<domain>/sha256-<digest>`, by the digest of their dataset."""
    paths = [path for path in list_files(adapters) if path.endswith(f"/{PROVENANCE_FILE}")]
    return [path.removesuffix(f"/{PROVENANCE_FILE}") for path in paths if _dataset_of(adapters.below(*path.split("/"))) in digests]


def _dataset_of(store: Store) -> str:
    try:
        return Provenance.model_validate_json(get_bytes(store) or b"").dataset_digest
    except ValidationError:
        return ""
