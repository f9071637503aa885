"""Reads a Job and its pods into what a plan decides on. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from tuneloop_contracts.jobs import CONFIG_ENV
from tuneloop_contracts.names import STEP_LABEL
from tuneloop_contracts.progress import Report
from tuneloop_operator.api.conditions import HAS_VOLUMES, is_true, parse_time
from tuneloop_operator.api.kinds import FINE_TUNE_JOBS, Object
from tuneloop_operator.api.owners import controller_of

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
NEVER_BEGAN = ("StartError", "ContainerCannotRun")
"""What the kubelet says of a container that its runtime could not start, as of an image without python; the message is the runtime's."""


class Owner(StrEnum):
    OURS = "Ours"
    EARLIER = "Earlier"
    """A FineTuneJob of the same name that is gone: the garbage collector will take the Job too."""
    STRANGER = "Stranger"


class Phase(StrEnum):
    ACTIVE = "Active"
    COMPLETE = "Complete"
    FAILED = "Failed"


@dataclass(frozen=True)
class Trouble:
    """A reason for machines and a sentence for people."""

    reason: str
    message: str


@dataclass(frozen=True)
class JobSnapshot:
    """A Job and its pods."""

    name: str
    uid: str
    owner: Owner
    phase: Phase
    suspended: bool = False
    queued: bool = False
    """Whether Kueue decides when it runs."""
    running: bool = False
    """Whether a pod of it runs now."""
    podless_since: datetime | None = None
    """When it was made, or resumed, while it has no pod at all."""
    failures: int = 0
    """Pods that failed."""
    ended: str = ""
    """When it completed or failed."""
    report: Report | None = None
    """Of the pod that succeeded."""
    waiting: Trouble | None = None
    """Why a pod of it does not run yet."""
    starting: str = ""
    """Which pod of it has a node and does not run yet, and what it does there."""
    fault: Trouble | None = None
    """Why the last pod that failed did, else why the Job itself did."""
    config: str = ""
    """The document it was started with."""


def job_name(fine_tune_job: str, step: str) -> str:
    """The Job of a step: `harvest` or `train`."""
    return f"{fine_tune_job}-{step}"


def read_job(job: Object, pods: Sequence[Object], *, name: str, uid: str, posted: Report | None = None) -> JobSnapshot:
    """`name` and `uid` are the FineTuneJob's; `posted` is the report that came over HTTP, which is whole."""
    mine = sorted((pod for pod in pods if controller_of(pod).get("uid") == job["metadata"]["uid"]), key=_created)
    status, spec = job.get("status", {}), job["spec"]
    end = next((c for c in status.get("conditions", []) if c["type"] in ("Complete", "Failed") and c["status"] == "True"), None)
    phase = Phase(end["type"]) if end else Phase.ACTIVE
    return JobSnapshot(
        name=job["metadata"]["name"],
        uid=job["metadata"]["uid"],
        owner=_whose(job, name, uid),
        phase=phase,
        suspended=bool(spec.get("suspend")),
        queued=QUEUE_LABEL in job["metadata"].get("labels", {}),
        running=any(pod.get("status", {}).get("phase") == "Running" for pod in mine),
        podless_since=parse_time(status.get("startTime") or job["metadata"]["creationTimestamp"]) if not mine else None,
        failures=int(status.get("failed", 0)),
        ended=str(end["lastTransitionTime"]) if end else "",
        report=(posted or _report(mine)) if phase == Phase.COMPLETE else None,
        waiting=_waiting(mine),
        starting=_starting(mine),
        fault=_fault(mine, end if phase == Phase.FAILED else None),
        config=config_of(spec),
    )


def _created(pod: Object) -> str:
    return str(pod["metadata"]["creationTimestamp"])


def _whose(job: Object, name: str, uid: str) -> Owner:
    owner = controller_of(job)
    if owner.get("uid") == uid:
        return Owner.OURS
    return Owner.EARLIER if (owner.get("kind"), owner.get("name")) == (FINE_TUNE_JOBS.name, name) else Owner.STRANGER


def config_of(spec: Object) -> str:
    """The document that a Job was started with."""
    containers = spec["template"]["spec"]["containers"]
    return next((str(env.get("value", "")) for env in containers[0].get("env", []) if env["name"] == CONFIG_ENV), "")


def _terminated(pod: Object) -> dict[str, Any]:
    """How its own container ended; a mesh or a monitor may have put others beside it."""
    own = [status for status in pod.get("status", {}).get("containerStatuses", []) if status["name"] == _step(pod)]
    return next((dict(s["state"]["terminated"]) for s in own if "terminated" in s.get("state", {})), {})


def _step(pod: Object) -> str:
    """Its container is called by it too."""
    return str(pod["metadata"].get("labels", {}).get(STEP_LABEL, ""))


def _parsed(pod: Object) -> Report | None:
    try:
        return Report.from_termination_message(_terminated(pod).get("message", ""))
    except ValueError:
        return None


def _report(pods: Sequence[Object]) -> Report | None:
    """Of several pods that trained together only the first reports."""
    succeeded = [pod for pod in pods if pod.get("status", {}).get("phase") == "Succeeded"]
    return next((report for pod in reversed(succeeded) if (report := _parsed(pod))), None)


def _waiting(pods: Sequence[Object]) -> Trouble | None:
    pending = [pod for pod in pods if pod.get("status", {}).get("phase") == "Pending"]
    for pod in pending[-1:]:
        for status in pod["status"].get("containerStatuses", []):
            why = status.get("state", {}).get("waiting", {})
            if why.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
                return Trouble(_image_trouble(why["reason"]), f"pod {pod['metadata']['name']}: {why.get('message', why['reason'])}"[:500])
        for condition in pod["status"].get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return Trouble(condition.get("reason", "Unschedulable"), condition.get("message", "")[:500])
    return None


def _starting(pods: Sequence[Object]) -> str:
    placed = [pod for pod in pods if pod.get("status", {}).get("phase") == "Pending" and pod["spec"].get("nodeName")]
    for pod in placed[-1:]:
        what = "pulls its image" if is_true(pod["status"], HAS_VOLUMES) else "waits for its volumes or pulls its image"
        name = pod["metadata"]["name"]
        return f"pod {name} {what} on node {pod['spec']['nodeName']}; if that lasts, see kubectl describe pod {name}"
    return ""


def _image_trouble(reason: str) -> str:
    """One word while the kubelet swings between two."""
    return "ImagePullBackOff" if reason == "ErrImagePull" else reason


def _fault(pods: Sequence[Object], failed: dict[str, Any] | None) -> Trouble | None:
    """What the pod itself said goes before what was seen of it, and that before what the Job says."""
    if failed and failed.get("reason") == "DeadlineExceeded":
        return Trouble("DeadlineExceeded", "the Job was active for longer than activeDeadlineSeconds; raise it in a new FineTuneJob")
    broken = [pod for pod in pods if pod.get("status", {}).get("phase") == "Failed"]
    if broken:
        return _pod_fault(broken[-1])
    return Trouble(failed.get("reason", "Failed"), failed.get("message", "")) if failed else None


def _less_memory(pod: Object) -> str:
    if _step(pod) == "harvest":
        return "divide it by data.parallelism, or shorten data.window, in a new FineTuneJob"
    return "raise pods.resources or lower training.tokensPerStep, in a new FineTuneJob"


def _pod_fault(pod: Object) -> Trouble:
    name, ended, said = pod["metadata"]["name"], _terminated(pod), _parsed(pod)
    if said and said.fault:
        return Trouble(said.fault.reason.value, said.fault.message)
    if ended.get("reason") == "OOMKilled":
        return Trouble("OOMKilled", f"pod {name} needed more memory than its limit; {_less_memory(pod)}")
    if ended.get("reason") in NEVER_BEGAN:
        return Trouble("StartError", f"pod {name}: {ended.get('message', '')}"[:500])
    if pod["status"].get("reason"):
        return Trouble(pod["status"]["reason"], f"pod {name}: {pod['status'].get('message', '')}"[:500])
    code = ended.get("exitCode")
    if code in (137, 143, None):
        return Trouble("PodKilled", f"pod {name} was killed")
    return Trouble("PodFailed", f"pod {name} ended with exit code {code}")
