"""One line of the manifest in this pod's life."""

import asyncio
from dataclasses import dataclass, field

from tuneloop_contracts.manifest import ManifestAdapter
from tuneloop_contracts.pods import AdapterReport, AdapterState, LoadFault, Probe


@dataclass(eq=False)
class AdapterEntry:
    """Owned by AdapterService; changes on the event loop only."""

    adapter: ManifestAdapter
    handle: str
    """Its name inside the engine: never used twice, so that a revision may leave while its namesake comes."""
    state: AdapterState = AdapterState.LOADING
    fault: LoadFault | None = None
    message: str = ""
    delta: float | None = None
    users: int = 0
    """Requests that are being answered with it."""
    unused: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while the manifest does not name it."""
    leaving: bool = False
    """Too late to be taken back."""

    def __post_init__(self) -> None:
        self.unused.set()

    def report(self) -> AdapterReport:
        return AdapterReport(
            name=self.adapter.name,
            digest=self.adapter.digest,
            state=self.state,
            reason=self.fault,
            message=self.message,
            probe=None if self.delta is None else Probe(max_logit_delta=self.delta),
        )


class AdapterLease:
    """Keeps a revision loaded until released. Releasing twice is harmless."""

    def __init__(self, entry: AdapterEntry) -> None:
        self._entry: AdapterEntry | None = entry
        self.revision = entry.adapter.name
        self.digest = entry.adapter.digest
        self.handle = entry.handle
        entry.users += 1
        entry.unused.clear()

    def release(self) -> None:
        entry, self._entry = self._entry, None
        if entry:
            entry.users -= 1
            if not entry.users:
                entry.unused.set()
