"""A real S3 server for tests: its own port and keys, objects in a folder of its own."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from ports import free_port

BUILD = Path(__file__).parent / "build.sh"
DEADLINE = 20.0
KEY, SECRET = "tuneloop-tests", "not-a-secret-of-anybody"


@dataclass
class S3Gateway:
    folder: Path
    """A bucket is a folder in it, an object a file there."""
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> dict[str, str]:
        """What a pod has of the Secret of a store."""
        return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": f"http://{self.host}:{self.port}"}

    def start(self) -> "S3Gateway":
        built = subprocess.run([BUILD], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        env = os.environ | {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET}
        command = [f"{built}/versitygw", "--port", f"{self.host}:{self.port}", "--quiet", "posix", "--nometa", str(self.folder)]
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()
        return self

    def bucket(self, name: str) -> Path:
        """A new one, empty."""
        (self.folder / name).mkdir()
        return self.folder / name

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(DEADLINE)
            self.process = None

    def _wait(self) -> None:
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(self.env["AWS_ENDPOINT_URL"], timeout=1)
            except urllib.error.HTTPError:
                return  # it wants a signature
            except OSError:
                time.sleep(0.02)
        raise TimeoutError(f"the S3 server on port {self.port} did not answer within {DEADLINE} s")
