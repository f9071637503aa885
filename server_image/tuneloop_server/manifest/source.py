"""What the followers hand over."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from tuneloop_contracts.manifest import MANIFEST_VERSION, AdapterManifest


@dataclass(frozen=True)
class ManifestSnapshot:
    manifest: AdapterManifest
    resource_version: str
    """Of the ConfigMap; of a file, a digest of its contents; "" when there is none."""


EMPTY = ManifestSnapshot(AdapterManifest(), "")

Deliver = Callable[[ManifestSnapshot], None]


class BadManifest(ValueError):
    """Its writer must mend it; what was served before goes on being served."""


def parse(text: str | bytes, resource_version: str = "") -> ManifestSnapshot:
    """Raises BadManifest."""
    try:
        manifest = AdapterManifest.model_validate_json(text)
    except ValidationError as error:
        raise BadManifest(f"{error.error_count()} faults, the first at {error.errors()[0]['loc']}") from error
    if manifest.version != MANIFEST_VERSION:
        raise BadManifest(f"version {manifest.version}; this server reads {MANIFEST_VERSION}")
    raw = text.encode() if isinstance(text, str) else text
    return ManifestSnapshot(manifest, resource_version or f"file-{hashlib.sha256(raw).hexdigest()[:16]}")
