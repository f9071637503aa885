"""What must hold before the operator starts: the CRDs are there, and it may look at what it watches."""

import asyncio
import logging
from collections.abc import Sequence

from tuneloop_operator.api.kinds import WATCHED, Kind
from tuneloop_operator.clients.errors import NotAllowed, TryLater
from tuneloop_operator.clients.kube import Kube

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
"""For CRDs that are being installed at this moment, and an API server that is starting."""


class NoAccess(Exception):
    """The installation must be edited: says what is missing."""


async def check_access(kube: Kube, namespaces: Sequence[str]) -> tuple[str, ...]:
    """Of these namespaces, those that it may look at; none is the whole cluster, and stays so.

    One that it may not is left out: where a team deletes its namespace, the Role in it goes too, and the others must not suffer for it.
    Raises NoAccess when none is left. kopf would go on without the kinds that it cannot find, and say so only in its log.
    """
    refusals = {namespace: await _refusal(kube, namespace) for namespace in namespaces or ("",)}
    if all(refusals.values()):
        raise NoAccess("; ".join(refusals.values()))
    for refusal in filter(None, refusals.values()):
        log.warning("%s; nothing is done there until this operator is started again", refusal)
    return tuple(namespace for namespace in namespaces if not refusals[namespace])


async def _refusal(kube: Kube, namespace: str) -> str:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            for kind in WATCHED:
                await _listed(kube, kind, namespace)
    except NoAccess as refusal:
        return str(refusal)
    except TimeoutError:
        raise NoAccess(f"after {PATIENCE_SECONDS:g} s: no API server, or no CRDs (kubectl apply -f crds/)") from None
    return ""


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
