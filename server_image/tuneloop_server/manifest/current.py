"""The manifest this pod goes by."""

from collections.abc import Callable

from tuneloop_contracts.manifest import AdapterManifest
from tuneloop_server.manifest.source import EMPTY, Seen


class Current:
    def __init__(self, apply: Callable[[AdapterManifest], None]) -> None:
        self._apply = apply
        self._seen: Seen | None = None

    @property
    def known(self) -> bool:
        """A manifest was seen, or it was seen that there is none."""
        return self._seen is not None

    @property
    def manifest(self) -> AdapterManifest:
        return (self._seen or EMPTY).manifest

    @property
    def resource_version(self) -> str:
        return (self._seen or EMPTY).resource_version

    def take(self, seen: Seen) -> None:
        """A manifest that vanished is no order to drop everything: only its writer's next one is."""
        if seen == self._seen or (seen == EMPTY and self._seen):
            return
        self._apply(seen.manifest)
        self._seen = seen  # after it, so that one that broke off is applied once more
