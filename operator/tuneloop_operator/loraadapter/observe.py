"""Gathers all that the status of a LoRAAdapter is made from."""

from datetime import datetime

from tuneloop_contracts.names import manifest_configmap
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.api.kinds import CONFIG_MAPS, TARGETS
from tuneloop_operator.api.model import InvalidSpec
from tuneloop_operator.clients.errors import TryLater
from tuneloop_operator.clients.kube import Kube
from tuneloop_operator.inferencetarget.follow import PodFollowers
from tuneloop_operator.inferencetarget.observe import adapters_of
from tuneloop_operator.ledger.inputs import Adapter
from tuneloop_operator.ledger.model import read_ledger
from tuneloop_operator.ledger.settle import settle
from tuneloop_operator.loraadapter.snapshot import Snapshot
from tuneloop_operator.queue import Key


async def observe(kube: Kube, followers: PodFollowers, adapter: Adapter, key: Key, now: datetime) -> Snapshot:
    """Raises TryLater while the pods are unknown: a status must not say that none is ready because nobody has looked."""
    target = Key(TARGETS.name, key.namespace, adapter.spec.target_ref.name)
    body = await kube.get(TARGETS, target.namespace, target.name)
    if body is None or "deletionTimestamp" in body["metadata"]:
        return Snapshot(adapter, None)
    try:
        spec = InferenceTargetSpec.parse(body["spec"])
    except InvalidSpec:
        return Snapshot(adapter, None)
    config_map = await kube.get(CONFIG_MAPS, target.namespace, manifest_configmap(target.name))
    ledger = read_ledger((config_map or {}).get("data", {}))
    pods = followers.peek(target)
    if pods is None:
        raise TryLater(f"the pods of {target} have not been looked at yet")
    settled = settle(spec, body["metadata"]["uid"], await adapters_of(kube, target.namespace, target.name), ledger, pods, now)
    known = ledger.entries.get(adapter.name)
    entry = known if known and known.uid == adapter.uid else None
    return Snapshot(adapter, spec, pods, entry, settled.notes.get(adapter.name))
