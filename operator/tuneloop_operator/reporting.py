"""Writes a status: once a pass, and only when something changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tuneloop_operator.api.conditions import Readiness, kstatus, set_conditions
from tuneloop_operator.api.kinds import Kind, Object
from tuneloop_operator.clients.kube import Kube


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that makes `new` of `old`: what is gone becomes null, lists are replaced whole."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := difference(before, value):
                patch[key] = inner
        elif value != before:
            patch[key] = value
    return patch


async def report(kube: Kube, kind: Kind, body: Object, status: Mapping[str, Any]) -> frozenset[str]:
    """The fields that were written, if any. The uid keeps it from landing on a later object of the same name (Stale)."""
    patch = difference(body.get("status", {}), status)
    if patch:
        meta = body["metadata"]
        change = {"metadata": {"uid": meta["uid"]}, "status": patch}
        await kube.patch(kind, meta["namespace"], meta["name"], change, "status")
    return frozenset(patch)


async def report_invalid(kube: Kube, kind: Kind, body: Object, message: str, now: datetime) -> None:
    """A spec that must be edited; all else that the status said stays."""
    old, generation = body.get("status", {}), body["metadata"]["generation"]
    invalid = kstatus(Readiness(False, "InvalidSpec", message, needs_edit=True))
    said = set_conditions(old.get("conditions", []), invalid, generation=generation, now=now)
    await report(kube, kind, body, old | {"observedGeneration": generation, "conditions": said})
