"""A real control plane without a node: etcd, kube-apiserver and the few controllers that the tests need, on free ports.

There is no scheduler and no kubelet: pods stay pending until a test writes their status. There is no Deployment controller
either: a test makes the server pods itself, and serves their status port.
"""

import contextlib
import os
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from ports import free_port

ROOT = Path(__file__).parents[2]
CONTROLLERS = (
    "garbage-collector-controller", "job-controller", "namespace-controller",
    "serviceaccount-controller", "root-ca-certificate-publisher-controller", "clusterrole-aggregation-controller",
    "persistentvolumeclaim-protection-controller",
)  # fmt: skip
SERVICES = "10.96.0.0/16"


@dataclass(frozen=True)
class ControlPlane:
    """What a test needs to talk to it."""

    kubeconfig: Path
    """Of an administrator."""
    binaries: Path

    def api(self) -> httpx.Client:
        """The API server itself, for what is asked too often for a process each."""
        config = yaml.safe_load(self.kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        context.load_cert_chain(user["client-certificate"], user["client-key"])
        return httpx.Client(base_url=cluster["server"], verify=context, timeout=20, trust_env=False)

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [str(self.binaries / "kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, f"{arguments}: {done.stderr}"
        return done


@contextlib.contextmanager
def control_plane(crds: Path | None = None) -> Iterator[ControlPlane]:
    """Starts it in a temporary folder, with the CRDs of a folder, and stops every process it started."""
    binaries = Path(subprocess.check_output([ROOT / "tests/cluster/build.sh"], text=True).splitlines()[-1])
    state = Path(tempfile.mkdtemp(prefix="control-plane-"))
    started: list[subprocess.Popen[bytes]] = []
    try:
        yield _start(binaries, state, started, crds)
    finally:
        for process in reversed(started):  # nothing of it is to be kept, so nothing need be said goodbye to
            process.kill()
            process.wait()
        shutil.rmtree(state, ignore_errors=True)


def _start(binaries: Path, state: Path, started: list[subprocess.Popen[bytes]], crds: Path | None) -> ControlPlane:
    client, peer, secure = (free_port() for _ in range(3))
    _certificates(state)
    kubeconfig = _kubeconfig(state, "admin", secure)

    def start(program: str, *flags: str) -> None:
        with (state / f"{program}.log").open("wb") as log:
            started.append(subprocess.Popen([binaries / program, *flags], stdout=log, stderr=log, cwd=state))

    start(
        "etcd", "--data-dir=etcd", "--unsafe-no-fsync", f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}", f"--initial-cluster=default=http://127.0.0.1:{peer}",
    )  # fmt: skip
    start(
        "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{client}", f"--secure-port={secure}", "--bind-address=127.0.0.1",
        "--tls-cert-file=apiserver.crt", "--tls-private-key-file=apiserver.key", "--client-ca-file=ca.crt",
        "--service-account-key-file=sa.pub", "--service-account-signing-key-file=sa.key",
        "--service-account-issuer=https://kubernetes.default.svc", f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=RBAC", "--watch-cache=true",
    )  # fmt: skip
    plane = ControlPlane(kubeconfig, binaries)
    _wait(lambda: plane.kubectl("get", "--raw=/readyz", check=False).returncode == 0, state)
    if crds:  # before the garbage collector, which looks for new kinds only every 30 s
        plane.kubectl("apply", "-f", str(crds))
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    start(
        "kube-controller-manager", f"--kubeconfig={_kubeconfig(state, 'controllers', secure)}", "--leader-elect=false",
        "--service-account-private-key-file=sa.key", "--root-ca-file=ca.crt", f"--secure-port={free_port()}",
        f"--controllers={','.join(CONTROLLERS)}", "--concurrent-gc-syncs=5",
    )  # fmt: skip
    _wait(lambda: plane.kubectl("get", "serviceaccount", "default", check=False).returncode == 0, state)
    return plane


def _wait(reached: Callable[[], bool], state: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "\n".join(log.read_text()[-2000:] for log in state.glob("*.log"))
        time.sleep(0.1)


def _certificates(state: Path) -> None:
    """An authority, a server certificate, two administrators, and the key that signs service account tokens."""
    openssl(state, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-days", "9", "-subj", "/CN=ca")
    openssl(state, "genrsa", "-out", "sa.key", "2048")
    openssl(state, "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")
    for name, subject, names in (
        ("apiserver", "/CN=apiserver", "DNS:localhost,IP:127.0.0.1"),
        ("admin", "/O=system:masters/CN=admin", "DNS:admin"),
        ("controllers", "/O=system:masters/CN=controllers", "DNS:controllers"),
    ):
        (state / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        openssl(state, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        openssl(
            state, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.crt", "-days", "9", "-extfile", f"{name}.ext",
        )  # fmt: skip


def openssl(state: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=state, check=True, capture_output=True, env={"PATH": os.environ["PATH"]})


def _kubeconfig(state: Path, user: str, port: int) -> Path:
    file = state / f"{user}.kubeconfig"
    file.write_text(f"""apiVersion: v1
kind: Config
clusters: [{{name: local, cluster: {{server: "https://127.0.0.1:{port}", certificate-authority: {state}/ca.crt}}}}]
users: [{{name: {user}, user: {{client-certificate: {state}/{user}.crt, client-key: {state}/{user}.key}}}}]
contexts: [{{name: local, context: {{cluster: local, user: {user}}}}}]
current-context: local
""")
    return file
