"""As many threads as the pod may use. Torch counts the node's cores: with more threads than the limit allows, each waits for others
that are not running, and a step takes many times as long."""

import math
from pathlib import Path

import torch

CGROUPS = Path("/sys/fs/cgroup")


def use_allowed_cpus() -> None:
    """Never more threads than were set before."""
    allowed = cpu_limit(CGROUPS)
    if allowed:
        torch.set_num_threads(max(1, min(torch.get_num_threads(), math.ceil(allowed))))


def cpu_limit(cgroups: Path) -> float | None:
    """In cores, by version 2 or version 1 of the kernel's groups; None without a limit."""
    try:
        quota, period = (cgroups / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroups / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroups / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return int(quota) / int(period) if quota.isdigit() and int(period) else None
