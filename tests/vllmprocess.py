"""A real vLLM for CPUs, as a process of its own; `tests/vllm/install.sh` makes the environment that it runs in."""

import os
import re
import signal
import subprocess
import time
from functools import cache
from pathlib import Path

import httpx

from builders_adapters import REPOSITORY, base_folder
from ports import free_port

START_DEADLINE = 600.0
"""It takes two minutes on two idle cores."""
RANK = 64
CONTEXT = 1024


@cache
def environment() -> Path:
    return Path(subprocess.check_output([REPOSITORY / "tests/vllm/install.sh"], text=True).strip())


class VllmProcess:
    def __init__(self, log_file: Path) -> None:
        self.log_file = log_file
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def launch(self) -> None:
        """Begin to start."""
        settings = {
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "2",
        }  # fmt: skip
        command = [
            environment() / "bin/python", "-m", "vllm.entrypoints.openai.api_server", "--model", base_folder(), "--host", "127.0.0.1",
            "--port", str(self.port), "--dtype", "float32", "--enforce-eager", "--max-model-len", str(CONTEXT),
            "--enable-lora", "--max-lora-rank", str(RANK), "--max-loras", "4", "--max-cpu-loras", "8",
        ]  # fmt: skip
        with self.log_file.open("ab") as log:
            # it starts processes of its own: all are one group, which ends as one
            self.process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log, start_new_session=True)

    def wait(self) -> None:
        until = time.monotonic() + START_DEADLINE
        while not self.is_there():
            assert self.process
            assert self.process.poll() is None, self.log()[-3000:]
            assert time.monotonic() < until, f"vLLM did not start within {START_DEADLINE} s\n{self.log()[-3000:]}"
            time.sleep(0.5)

    def is_there(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """As the kernel does when memory runs out: no farewell."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)
            self.process = None

    def adapters(self) -> dict[str, str]:
        """Folder by name, as it lists them."""
        listed = httpx.get(f"{self.url}/v1/models", timeout=30).json()["data"]
        return {card["id"]: card["root"] for card in listed if card["parent"]}

    def measured(self, *names: str) -> float:
        """The sum of these of its metrics, over all their labels."""
        text = httpx.get(f"{self.url}/metrics", timeout=30).text
        samples = re.findall(rf"^(?:{'|'.join(names)})\{{.*\}} (\S+)$", text, re.MULTILINE)
        assert samples, names
        return sum(float(value) for value in samples)

    def requests(self) -> float:
        """That it works on, or that wait inside it."""
        return self.measured("vllm:num_requests_running", "vllm:num_requests_waiting")

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")
