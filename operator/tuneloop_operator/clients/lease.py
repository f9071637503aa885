"""One active operator at a time, by a Lease. Who loses it must stop before it writes again.

The election is the Kubernetes client's; its own LeaseLock is not used: in 37.0 it cannot create a Lease, and its calls may take
five minutes, longer than the Lease itself.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.baselock import BaseLock

from tuneloop_operator.api.kinds import LEASES, Object
from tuneloop_operator.clients.errors import ClientError
from tuneloop_operator.clients.kube import Kube

LEASE = "tuneloop-operator"
DURATION, RENEW_DEADLINE, RETRY = 15, 10, 2
"""Seconds, as Kubernetes' own controllers have them: who cannot renew for 10 s stops, 5 s before another may begin."""
ANSWER_SECONDS = 4.0


class LeaseLost(Exception):
    """Another operator may be active by now."""


class _Lock(BaseLock):
    """The Lease, as the election wants to read and write it."""

    def __init__(self, kube: Kube, namespace: str, identity: str) -> None:
        super().__init__(LEASE, namespace, identity)
        self._kube = kube
        self._found: Object = {}
        self.held_since = float("-inf")
        """When it was last ours for certain, by the clock that goes on while a process is frozen."""

    async def get(self, name: str, namespace: str) -> Any:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await self._kube.get(LEASES, namespace, name)
        except (ClientError, TimeoutError) as error:
            return False, ApiException(status=0, reason=type(error).__name__)
        if found is None:
            return False, ApiException(status=404, reason="Not Found", body='{"code": 404}')
        self._found = found
        if self.held_since > float("-inf") and found["spec"].get("holderIdentity") not in (None, self.identity):
            raise LeaseLost(f"Lease {namespace}/{name} is held by another operator")
        return True, _record(found["spec"])

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        body = {"apiVersion": LEASES.api_version, "kind": LEASES.name, "metadata": {"name": name}, "spec": _spec(election_record)}
        return await self._tried(self._kube.create(LEASES, namespace, body))

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        """Of the version that was read: if another was quicker, this fails."""
        return await self._tried(self._kube.replace(LEASES, namespace, self._found | {"spec": _spec(updated_record)}))

    async def _tried(self, call: Any) -> bool:
        asked = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await call
        except (ClientError, TimeoutError):
            return False
        self.held_since = asked
        return True


def _record(spec: Object) -> LeaderElectionRecord:
    length = spec.get("leaseDurationSeconds")
    return LeaderElectionRecord(spec.get("holderIdentity"), str(length) if length else None, spec.get("acquireTime"), spec.get("renewTime"))


def _spec(record: LeaderElectionRecord) -> Object:
    return {
        "holderIdentity": record.holder_identity,
        "leaseDurationSeconds": DURATION,
        "acquireTime": _micro(record.acquire_time),
        "renewTime": _micro(record.renew_time),
    }


def _micro(time: str | None) -> str | None:
    """The election writes local time without a zone; the API wants RFC 3339 with microseconds."""
    if time is None or time.endswith("Z"):
        return time
    return datetime.fromisoformat(time).astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


async def _nothing() -> None:
    """The election wants callbacks; this one is driven by acquire and hold."""


class Lease:
    def __init__(self, kube: Kube, namespace: str, identity: str) -> None:
        self._kube, self._namespace, self._identity = kube, namespace, identity
        self._lock = lock = _Lock(kube, namespace, identity)
        self._election = LeaderElection(Config(lock, DURATION, RENEW_DEADLINE, RETRY, _nothing, _nothing))

    async def acquire(self) -> None:
        """Returns when it is ours."""
        await self._election.acquire()

    async def hold(self) -> None:
        """Renews it for ever. Raises LeaseLost."""
        await self._election.renew_loop()
        raise LeaseLost(f"Lease {self._namespace}/{LEASE} could not be renewed for {RENEW_DEADLINE} s")

    def is_ours(self) -> bool:
        """For certain: nobody else may have taken it yet."""
        return time.monotonic() - self._lock.held_since < DURATION

    async def release(self) -> None:
        """Lets the next operator begin at once; without it, it waits for the Lease to run out."""
        try:
            lease = await self._kube.get(LEASES, self._namespace, LEASE)
            if lease and lease["spec"].get("holderIdentity") == self._identity:
                spec = {key: value for key, value in lease["spec"].items() if key != "holderIdentity"}
                await self._kube.replace(LEASES, self._namespace, lease | {"spec": spec})
        except ClientError:
            pass  # it runs out by itself
