"""A real redis-server for tests: its own port, nothing on disk, dead when the test is."""

import shutil
import subprocess
import time
from dataclasses import dataclass, field

import redis

from ports import free_port

DEADLINE = 10.0


@dataclass
class RedisServer:
    password: str = ""
    options: tuple[str, ...] = ()
    """More of redis-server's own, as on its command line."""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{':' + self.password + '@' if self.password else ''}127.0.0.1:{self.port}/0"

    def start(self) -> "RedisServer":
        binary = shutil.which("redis-server")
        assert binary, "redis-server is not installed: apt-get install redis-server"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        options += ["--repl-diskless-load", "swapdb"]  # a replica too would write what it gets into the folder that the tests run in
        options += ["--requirepass", self.password] if self.password else []
        options += self.options
        self.process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()
        return self

    def stop(self) -> None:
        """As if its node were lost: what it held is gone."""
        if self.process:
            self.process.kill()
            self.process.wait(DEADLINE)
            self.process = None

    def _wait(self) -> None:
        deadline = time.monotonic() + DEADLINE
        with redis.Redis.from_url(self.url) as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    time.sleep(0.02)
        raise TimeoutError(f"redis-server on port {self.port} did not answer within {DEADLINE} s")
