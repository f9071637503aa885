"""Starts TRL in an environment of its own, and speaks to it over a pipe."""

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

PEER = ["trl==1.16.0", "transformers==5.23.0", "torch==2.15.0", "peft==0.21.2", "accelerate==1.15.0", "datasets==5.2.0"]
"""torch, transformers and peft as in our lock: what is compared is what was built on them."""
NAME = "TRL 1.16.0"
QUIET = {
    "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore",
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What `trl_peer` says of a run."""

    seconds: list[float]
    """Of each optimizer step."""
    prepare: float
    """Seconds in which rows became batches and LoRA layers were made."""
    tokens: int
    supervised: int
    loss: float
    """Of the last step, nats per supervised token."""
    peak_mb: float
    """Of memory since the command came."""


class TrlProcess:
    """`mode`: `defaults`, or `tuned`: packing and no checkpointing. `settings`: SFTConfig's."""

    def __init__(self, base: Path, mode: str, threads: int = 2, **settings: Any) -> None:
        script = str(Path(__file__).with_name("trl_peer.py"))
        environment = os.environ | QUIET | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": ""}
        self._process = subprocess.Popen(
            [*in_its_environment(), "python", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            start_new_session=True,
        )  # fmt: skip
        self.loaded = self._ask("load", base=str(base), mode=mode, **settings)

    def train(self, rows: Path, steps: int, adapter: Path | None = None) -> Run:
        return Run(**self._ask("train", rows=str(rows), steps=steps, adapter=str(adapter or "")))

    def gradients(self, rows: Path, into: Path, adapter: Path | None = None) -> Run:
        return Run(**self._ask("gradients", rows=str(rows), into=str(into), adapter=str(adapter or "")))

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # uv and what it runs
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _ask(self, do: str, **what: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps({"do": do} | what), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, f"TRL ended while it was asked to {do}; see above"
        return dict(json.loads(answer))


def in_its_environment() -> list[str]:
    """The command that runs what follows with the peer's packages; uv installs them once."""
    packages = [part for package in PEER for part in ("--with", package)]
    return [os.environ["UV"], "run", "--no-project", "--python", "3.11", *packages]
