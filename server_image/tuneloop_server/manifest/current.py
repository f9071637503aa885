"""The manifest this pod goes by."""

from collections.abc import Callable

from tuneloop_contracts.manifest import AdapterManifest
from tuneloop_server.manifest.source import EMPTY, ManifestSnapshot


class CurrentManifest:
    def __init__(self, apply: Callable[[AdapterManifest], None]) -> None:
        self._apply = apply
        self._snapshot: ManifestSnapshot | None = None

    @property
    def known(self) -> bool:
        """A manifest was seen, or it was seen that there is none."""
        return self._snapshot is not None

    @property
    def manifest(self) -> AdapterManifest:
        return (self._snapshot or EMPTY).manifest

    @property
    def resource_version(self) -> str:
        return (self._snapshot or EMPTY).resource_version

    def take(self, snapshot: ManifestSnapshot) -> None:
        """A manifest that vanished is no order to drop everything: only its writer's next one is."""
        if snapshot == self._snapshot or (snapshot == EMPTY and self._snapshot):
            return
        self._apply(snapshot.manifest)
        self._snapshot = snapshot  # after it, so that one that broke off is applied once more
