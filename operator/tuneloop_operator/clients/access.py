"""What must hold before the operator starts: the CRDs are there, and it may look at what it watches."""

import asyncio
from collections.abc import Sequence

from tuneloop_operator.api.kinds import WATCHED, Kind
from tuneloop_operator.clients.errors import NotAllowed, TryLater
from tuneloop_operator.clients.kube import Kube

PATIENCE_SECONDS = 60.0
"""For CRDs that are being installed at this moment, and an API server that is starting."""


class NoAccess(Exception):
    """The installation must be edited: says what is missing."""


async def check_access(kube: Kube, namespaces: Sequence[str]) -> None:
    """Raises NoAccess. kopf would go on without the kinds that it cannot find, and say so only in its log."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            for kind in WATCHED:
                for namespace in namespaces or ("",):
                    await _listed(kube, kind, namespace)
    except TimeoutError:
        raise NoAccess(f"after {PATIENCE_SECONDS:g} s: no API server, or no CRDs (kubectl apply -f crds/)") from None


async def _listed(kube: Kube, kind: Kind, namespace: str) -> None:
    where = f"in namespace {namespace}" if namespace else "in the whole cluster"
    while True:
        try:
            if await kube.has(kind, namespace):
                return
        except NotAllowed:
            raise NoAccess(f"the service account may not list {kind.plural} {where}: see the roles of the Helm chart") from None
        except TryLater:
            pass
        await asyncio.sleep(1)
