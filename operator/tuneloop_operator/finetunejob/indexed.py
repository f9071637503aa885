"""A Job of several pods, each of which knows which one it is. Pure."""

from typing import Any

Manifest = dict[str, Any]


def indexed(job: Manifest, pods: int) -> Manifest:
    """As many at once; each may fail as often as one alone. A pod that fails is made again under its number."""
    spread = {"completionMode": "Indexed", "completions": pods, "parallelism": pods, "backoffLimit": job["spec"]["backoffLimit"] * pods}
    return job | {"spec": job["spec"] | spread}
