"""What the end-to-end tests install and train: small, so that a job takes a minute."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from tuneloop_demo import kube, scenario
from tuneloop_demo.installation import Installation
from tuneloop_demo.questions import Question
from tuneloop_demo.traffic import Answer, Replica

NAMESPACE = "tuneloop-e2e"
RELEASE = "tuneloop-e2e"
TRAINING = {"epochs": 1, "learningRate": 0.001, "maxSequenceLength": 64, "tokensPerStep": 512}


def finetune_job(name: str, domains: Sequence[str], installation: Installation, **spec: object) -> kube.Manifest:
    job = scenario.finetune_job(name, domains, target=installation.target)
    job["spec"] |= {"training": TRAINING, "lora": {"rank": 4, "alpha": 8}, **spec}
    return job


class ConstantTraffic:
    """One request after another to one replica, `pause` seconds apart, until stopped; every failure is kept."""

    def __init__(self, server: Replica, model: str, pause: float) -> None:
        self.answers: list[Answer] = []
        self.failures: list[Exception] = []
        self._server, self._model, self._pause, self._stop = server, model, pause, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "ConstantTraffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=120)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                question = Question(f"What is {len(self.answers)} plus one?", "")  # never the same: the cache must not answer
                self.answers.append(self._server.ask(question, model=self._model, max_tokens=3))
            except Exception as failure:
                self.failures.append(failure)
            self._stop.wait(self._pause)


@dataclass(frozen=True)
class Trained:
    """A FineTuneJob that published an adapter for `general`, and what clients saw meanwhile."""

    job: kube.Manifest
    revision: str
    traffic: tuple[ConstantTraffic, ConstantTraffic]
    lives_before: set[tuple[str, int]]
    lives_after: set[tuple[str, int]]
