"""An adapter's way through manifests that change faster than it can be loaded."""

from pathlib import Path

import pytest

from lightserver import HeldEngine
from tuneloop_contracts.manifest import AdapterManifest, ManifestAdapter
from tuneloop_contracts.pods import LoadFault
from tuneloop_server.adapters import service as loading
from tuneloop_server.adapters.rejection import AdapterRejected
from tuneloop_server.adapters.service import AdapterService
from tuneloop_server.engine.base import AdapterWeights
from tuneloop_server.notifier import ChangeNotifier
from waiting import until

DIGEST = f"sha256:{'a' * 64}"
SUPPORT = AdapterManifest(adapters=(ManifestAdapter(name=f"support-v1-{'a' * 8}", domain="support", uri="file:///a", digest=DIGEST),))


class Loads(HeldEngine):
    async def load(self, handle: str, adapter: AdapterWeights) -> float:
        return 1.0

    async def unload(self, handle: str) -> None:
        """It holds nothing."""


async def test_one_that_is_taken_back_while_it_is_waited_for_is_still_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[bool] = []
    there = False

    def fetch(uri: str, digest: str, most: int) -> Path:
        tries.append(there)
        if not there:
            raise AdapterRejected(LoadFault.ARTIFACT_NOT_FOUND, "not yet")
        return Path(uri)

    monkeypatch.setattr(loading, "fetch", fetch)
    monkeypatch.setattr(loading, "preflight", lambda *_: AdapterWeights({}, b""))
    service = AdapterService(Loads(), 64, ChangeNotifier())
    service.apply(SUPPORT)
    await until(lambda: len(tries) == 1 and service.settled)
    service.apply(AdapterManifest())  # and back in one breath, as two events of one watch may come
    service.apply(SUPPORT)
    await until(lambda: len(tries) > 1)
    there = True
    await until(lambda: SUPPORT.adapters[0].name in service.loaded())
    await service.close()
