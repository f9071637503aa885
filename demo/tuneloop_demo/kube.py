"""kubectl and helm, as a user calls them. The cluster is the one KUBECONFIG names."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
Manifest = dict[str, Any]


class CommandFailed(Exception):
    """A kubectl or helm call failed; the message is what it printed."""


def run(*words: str, stdin: str | None = None, timeout: float = 120) -> str:
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise CommandFailed(f"{' '.join(words[:6])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def get(kind: str, name: str = "", *, namespace: str, selector: str = "") -> Any:
    """The object; or, without a name, the list of objects."""
    words = ["kubectl", "get", kind, "-n", namespace, "-o", "json", *([name] if name else []), *(["-l", selector] if selector else [])]
    found = json.loads(run(*words))
    return found if name else found["items"]


def find(kind: str, name: str, *, namespace: str) -> Manifest | None:
    """The object, or None where there is none."""
    text = run("kubectl", "get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
    return json.loads(text) if text.strip() else None


def apply(*manifests: Manifest, namespace: str) -> None:
    run("kubectl", "apply", "-n", namespace, "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))


def delete(kind: str, name: str, *, namespace: str) -> None:
    run("kubectl", "delete", kind, name, "-n", namespace, "--ignore-not-found", "--wait=true", "--timeout=90s")


def condition(thing: Manifest | None, type_: str) -> Manifest:
    """The condition of that type; {} where it is not set."""
    conditions = (thing or {}).get("status", {}).get("conditions", [])
    return next((entry for entry in conditions if entry["type"] == type_), {})


def is_true(thing: Manifest | None, type_: str) -> bool:
    return condition(thing, type_).get("status") == "True"


def until(what: str, look: Callable[[], T | None], *, seconds: float, every: float = 0.25) -> T:
    """The first truthy look, within a deadline; raises TimeoutError naming `what` and the last look."""
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        last = look()
        if last:
            return last
        time.sleep(every)
    raise TimeoutError(f"gave up after {seconds:.0f} s waiting for {what}; last seen: {last!r}")


@contextmanager
def port_forward(pod: str, port: int, *, namespace: str) -> Iterator[str]:
    """http://127.0.0.1:<free port> in front of a pod's port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        local = probe.getsockname()[1]
    words = ["kubectl", "port-forward", "-n", namespace, f"pod/{pod}", f"{local}:{port}"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tunnel:  # noqa: S603
        try:
            until(f"the tunnel to {pod}", lambda: _answers(local), seconds=20, every=0.1)
            yield f"http://127.0.0.1:{local}"
        finally:
            tunnel.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
