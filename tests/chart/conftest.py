"""The chart on a real API server. No pod runs here: the end-to-end tests do that."""

from collections.abc import Iterator

import pytest

from chart.rendering import NAMESPACE, QUICKSTART, installed
from control_plane.process import ControlPlane, control_plane


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """With the chart and its quickstart in NAMESPACE, which enforces the `restricted` level; nothing else."""
    with control_plane() as running, installed(running, NAMESPACE, QUICKSTART):
        running.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        yield running
