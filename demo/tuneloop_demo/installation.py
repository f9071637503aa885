"""A chart installed with its quickstart, seen from outside: its pods, its API, its jobs."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from tuneloop_contracts.names import JOB_LABEL, STEP_LABEL
from tuneloop_demo import kube
from tuneloop_demo.follow import Timeline, follow
from tuneloop_demo.questions import Question
from tuneloop_demo.traffic import Replica

API_PORT = 8000


@dataclass(frozen=True)
class Installation:
    namespace: str = "tuneloop"
    target: str = "chat-llm"
    """The InferenceTarget, and the Deployment of the same name."""

    def server_pods(self) -> list[kube.Manifest]:
        deployment = kube.get("deployment", self.target, namespace=self.namespace)
        labels = deployment["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        return [pod for pod in kube.get("pods", namespace=self.namespace, selector=selector) if "deletionTimestamp" not in pod["metadata"]]

    def lives(self) -> set[tuple[str, int]]:
        """Which pods serve, and how often their containers were restarted: the same before and after, or a pod was replaced."""
        return {
            (pod["metadata"]["uid"], sum(container["restartCount"] for container in pod["status"]["containerStatuses"]))
            for pod in self.server_pods()
        }

    @contextmanager
    def replicas(self) -> Iterator[list[Replica]]:
        with ExitStack() as stack:
            names = [pod["metadata"]["name"] for pod in self.server_pods()]
            urls = [stack.enter_context(kube.port_forward(name, API_PORT, namespace=self.namespace)) for name in names]
            yield [stack.enter_context(closing(Replica(url))) for url in urls]

    def wait_until_served(self) -> None:
        """Both replicas ready, and the operator content with them."""
        rollout = ["kubectl", "rollout", "status", f"deployment/{self.target}", "-n", self.namespace, "--timeout=600s"]
        kube.run(*rollout, timeout=620)
        kube.run(
            *("kubectl", "wait", f"inferencetarget/{self.target}", "-n", self.namespace, "--for=condition=Ready", "--timeout=120s"),
            timeout=130,
        )

    def train(self, job: kube.Manifest) -> tuple[kube.Manifest, Timeline]:
        """Apply a FineTuneJob and follow it to its end, on the terminal."""
        kube.apply(job, namespace=self.namespace)
        return follow(job["metadata"]["name"], namespace=self.namespace, applied=time.monotonic())

    def job_pods(self, job: str, step: str) -> list[kube.Manifest]:
        """The pods of a FineTuneJob's `harvest` or `train` step."""
        pods: list[kube.Manifest] = kube.get("pods", namespace=self.namespace, selector=f"{JOB_LABEL}={job},{STEP_LABEL}={step}")
        return pods

    def wait_until_swapped(self, servers: Sequence[Replica], domains: Sequence[str]) -> list[str]:
        """The revision that each domain answers with, once every replica answers with the same."""

        def look() -> list[str] | None:
            serving = [[server.ask(Question("Hello?", ""), model=domain, max_tokens=1).adapter for server in servers] for domain in domains]
            same = all(len(set(answers)) == 1 and answers[0] != "base" for answers in serving)
            return [answers[0] for answers in serving] if same else None

        return kube.until(f"adapters of {', '.join(domains)} on every replica", look, seconds=120, every=0.5)
