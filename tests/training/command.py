"""The trainer's command, as a process."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(**changes: str) -> dict[str, str]:
    paths = os.pathsep.join(str(ROOT / name) for name in ("contracts", "trainer_image"))
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **changes}


def command(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tuneloop_trainer", *arguments]
    return subprocess.run(words, env=environment(**env), capture_output=True, text=True, timeout=240, check=False)
