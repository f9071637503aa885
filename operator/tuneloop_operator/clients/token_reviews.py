"""Who posts: a token of a job pod, reviewed by the API server, and the pod traced to the FineTuneJob that owns it."""

import hashlib
import time
from dataclasses import dataclass

from tuneloop_contracts.jobs import PROGRESS_AUDIENCE
from tuneloop_contracts.names import JOB_LABEL
from tuneloop_operator.api.kinds import FINE_TUNE_JOBS, JOBS, PODS, Kind, Object
from tuneloop_operator.api.owners import controller_of
from tuneloop_operator.clients.kube import Kube

REMEMBERED_SECONDS = 60.0
MOST_REMEMBERED = 1024
_POD_NAME, _POD_UID = "authentication.kubernetes.io/pod-name", "authentication.kubernetes.io/pod-uid"


@dataclass(frozen=True)
class JobIdentity:
    """A pod of a Job of a FineTuneJob."""

    namespace: str
    fine_tune_job: str
    job_uid: str


class TokenReviews:
    """Remembers answers for a minute by the token's hash, refusals too; the token itself is never kept."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._known: dict[str, tuple[float, JobIdentity | None]] = {}

    async def identity(self, token: str) -> JobIdentity | None:
        """None for anybody who is not such a pod. Raises TryLater if the API server cannot say."""
        mark = hashlib.sha256(token.encode()).hexdigest()
        known = self._known.get(mark)
        if known and known[0] > time.monotonic():
            return known[1]
        found = await self._review(token)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[mark] = (time.monotonic() + REMEMBERED_SECONDS, found)
        return found

    async def _review(self, token: str) -> JobIdentity | None:
        review = await self._kube.review(token, PROGRESS_AUDIENCE)
        if not review.get("authenticated") or PROGRESS_AUDIENCE not in review.get("audiences", []):
            return None
        user = review.get("user", {})
        extra = {key: values[0] for key, values in user.get("extra", {}).items() if values}
        parts = str(user.get("username", "")).split(":")
        if parts[:2] != ["system", "serviceaccount"] or len(parts) != 4 or _POD_NAME not in extra:
            return None
        return await self._owner(parts[2], extra[_POD_NAME], extra.get(_POD_UID, ""))

    async def _owner(self, namespace: str, pod_name: str, pod_uid: str) -> JobIdentity | None:
        """Pod -> Job -> FineTuneJob, by uid at every step: a label alone may be set by anybody who may make pods."""
        pod = await self._kube.get(PODS, namespace, pod_name)
        if pod is None or pod["metadata"]["uid"] != pod_uid:
            return None
        name = pod["metadata"].get("labels", {}).get(JOB_LABEL, "")
        owner = _controller(pod, JOBS)
        job = await self._kube.get(JOBS, namespace, owner["name"]) if owner and name else None
        if job is None or job["metadata"]["uid"] != owner.get("uid"):
            return None
        grandparent = _controller(job, FINE_TUNE_JOBS)
        whole = await self._kube.get(FINE_TUNE_JOBS, namespace, name) if grandparent.get("name") == name else None
        if whole is None or whole["metadata"]["uid"] != grandparent["uid"]:
            return None
        return JobIdentity(namespace, name, job["metadata"]["uid"])


def _controller(body: Object, kind: Kind) -> Object:
    """{} for one of another kind."""
    owner = controller_of(body)
    return owner if owner.get("kind") == kind.name else {}
