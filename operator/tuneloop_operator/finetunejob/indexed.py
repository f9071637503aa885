"""A Job of several pods, each of which knows which one it is. Pure."""

from tuneloop_operator.api.kinds import Object


def indexed(job: Object, pods: int) -> Object:
    """As many at once; each may fail as often as one alone. A pod that fails is made again under its number."""
    spread = {"completionMode": "Indexed", "completions": pods, "parallelism": pods, "backoffLimit": job["spec"]["backoffLimit"] * pods}
    return job | {"spec": job["spec"] | spread}
