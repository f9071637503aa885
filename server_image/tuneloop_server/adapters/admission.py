"""Which of a manifest's adapters this pod tries to load. Pure."""

import re
from dataclasses import dataclass

from tuneloop_contracts.manifest import AdapterManifest, ManifestAdapter
from tuneloop_contracts.names import REVISION_PATTERN
from tuneloop_contracts.pods import AdapterReport, AdapterState, LoadFault

_NAME, _DIGEST = re.compile(REVISION_PATTERN), re.compile(r"sha256:[0-9a-f]{64}")

MISNAMED = "its name is not <domain>-v<N>-<digest8>, or its digest not sha256:<64 hex digits>"


@dataclass(frozen=True)
class Admission:
    wanted: tuple[ManifestAdapter, ...]
    refused: tuple[AdapterReport, ...]


def admit(manifest: AdapterManifest) -> Admission:
    """Well named, and not too many: what routes name comes first, so that a long history never pushes out what serves."""
    named = [adapter for adapter in dict.fromkeys(manifest.adapters) if well_named(adapter)]
    misnamed = [adapter for adapter in manifest.adapters if not well_named(adapter)]
    routed = {route.to for routes in manifest.routes.values() for route in routes}
    ordered = sorted(named, key=lambda adapter: adapter.name not in routed)
    most = manifest.max_loaded_adapters
    too_many = f"the manifest names more adapters than this target's maxLoadedAdapters ({most})"
    refused = [_refused(adapter, too_many) for adapter in ordered[most:]] + [_refused(adapter, MISNAMED) for adapter in misnamed]
    return Admission(tuple(ordered[:most]), tuple(refused))


def well_named(adapter: ManifestAdapter) -> bool:
    """Name and digest become names of folders and of things inside the engine: no `..` may be in them."""
    return bool(_NAME.fullmatch(adapter.name) and _DIGEST.fullmatch(adapter.digest))


def _refused(adapter: ManifestAdapter, message: str) -> AdapterReport:
    return AdapterReport(name=adapter.name, digest=adapter.digest, state=AdapterState.FAILED, reason=LoadFault.LOAD_FAILED, message=message)
