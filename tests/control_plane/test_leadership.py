"""One active operator: a second waits, takes over from one that is frozen, and the frozen one stops without writing."""

import os
import signal
from pathlib import Path

import httpx
import pytest

from control_plane.harness import TARGET, Operator, Scene, until
from control_plane.process import ControlPlane
from tuneloop_operator.api.kinds import TARGETS

pytestmark = pytest.mark.control_plane


def test_a_frozen_operator_is_replaced_and_stops_when_it_wakes(
    plane: ControlPlane, operator: Operator, stage: Scene, tmp_path: Path
) -> None:
    until(lambda: "this operator is the active one" in operator.log())
    second = Operator(plane, tmp_path / "log", POD_NAME="second")
    second.start()
    try:
        until(lambda: "waiting for the Lease" in second.log())
        assert httpx.get(f"http://127.0.0.1:{second.probes_port}/healthz", trust_env=False).status_code == 200, "waiting is healthy"
        os.kill(operator.pid, signal.SIGSTOP)
        until(lambda: "this operator is the active one" in second.log(), 40)
        stage.make_target()
        until(lambda: stage.condition(TARGETS, TARGET, "Ready")[0] == "True")
        os.kill(operator.pid, signal.SIGCONT)
        assert operator.wait(15) == 1
        assert "is held by another operator" in operator.log()
    finally:
        if operator.running:
            os.kill(operator.pid, signal.SIGCONT)
        assert second.stop() == 0, second.log()
        operator.stop()
        operator.start()
    until(lambda: operator.log().count("this operator is the active one") >= 2)


def test_bad_settings_are_all_named_and_end_with_2(plane: ControlPlane, tmp_path: Path) -> None:
    broken = Operator(plane, tmp_path / "log", HARVEST_IMAGE="", LORA_RANK="0", PROGRESS_URL="nowhere")
    broken.start()
    assert broken.wait(30) == 2
    for variable in ("HARVEST_IMAGE", "LORA_RANK", "PROGRESS_URL"):
        assert variable in broken.log()
