"""A claim that one node holds while a pod on another waits for it. Pure.

The scheduler knows nothing of it: the pod has its node, no container has begun, and the kubelet tries for ever. Where a claim has the
wrong access mode but its volume goes to several nodes all the same, as some network file systems' do, nobody waits and nothing is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tuneloop_operator.api.conditions import HAS_VOLUMES, find_condition, is_true, parse_time
from tuneloop_operator.api.kinds import Object

SHAREABLE = {"ReadWriteMany", "ReadOnlyMany"}
ATTACH_TIMEOUT = timedelta(seconds=60)
"""From a pod's node to its volumes; attaching a disk takes some twenty."""


@dataclass(frozen=True)
class ClaimConflict:
    """What cannot go on until somebody moves."""

    claim: str
    waiting: str
    """A pod, and its node."""
    holding: str
    """Another, and its own."""


def is_shareable(claim: Object) -> bool:
    return bool(SHAREABLE & set(claim["spec"].get("accessModes", [])))


def find_conflict(claims: Sequence[str], pods: Sequence[Object], now: datetime) -> ClaimConflict | None:
    """The first, of claims that are not shareable. `pods`: of their namespace."""
    for claim in claims:
        users = [pod for pod in pods if _mounts(pod, claim) and pod["spec"].get("nodeName") and not _is_over(pod)]
        for waiting in users:
            elsewhere = [pod for pod in users if pod["spec"]["nodeName"] != waiting["spec"]["nodeName"] and _has_volumes(pod)]
            if elsewhere and not _has_volumes(waiting) and now - _placed(waiting) > ATTACH_TIMEOUT:
                return ClaimConflict(claim, _told(waiting), _told(elsewhere[0]))
    return None


def _mounts(pod: Object, claim: str) -> bool:
    return any(volume.get("persistentVolumeClaim", {}).get("claimName") == claim for volume in pod["spec"].get("volumes", []))


def _is_over(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def _has_volumes(pod: Object) -> bool:
    status = pod.get("status", {})
    return status.get("phase") == "Running" or is_true(status, HAS_VOLUMES)


def _placed(pod: Object) -> datetime:
    scheduled = find_condition(pod.get("status", {}), "PodScheduled") or {}
    return parse_time(scheduled.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"])


def _told(pod: Object) -> str:
    return f"{pod['metadata']['name']} on node {pod['spec']['nodeName']}"
