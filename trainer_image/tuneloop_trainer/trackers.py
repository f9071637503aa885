"""Run trackers, chosen by the environment as transformers chooses them, where the image holds their library (ours holds none).

    MLflow    MLFLOW_TRACKING_URI; MLFLOW_EXPERIMENT_NAME
    W&B       WANDB_API_KEY, or WANDB_MODE=offline; WANDB_PROJECT
    Trackio   TRACKIO_SPACE_ID, or TRACKIO_DIR for a local one; TRACKIO_PROJECT

They get figures and configuration, never a word of what was trained on.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

log = logging.getLogger("tuneloop")

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Run:
    """One training, as a tracker names it."""

    project: str
    """The target."""
    name: str
    """The job."""
    settings: Mapping[str, str | float]


class Tracker(Protocol):
    url: str
    """Where people see the run; empty if it has no such place."""

    def log(self, figures: Figures, step: int) -> None: ...

    def end(self) -> None: ...


class MLflow:
    """By its client: the fluent functions keep the run to the thread that began it."""

    def __init__(self, run: Run, env: Mapping[str, str]) -> None:
        uri, project = env["MLFLOW_TRACKING_URI"], env.get("MLFLOW_EXPERIMENT_NAME", run.project)
        self._client = import_module("mlflow").MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name(project)
        experiment = found.experiment_id if found else self._client.create_experiment(project)
        self._run = self._client.create_run(experiment, run_name=run.name).info.run_id
        for name, value in run.settings.items():
            self._client.log_param(self._run, name, value)
        self.url = f"{uri.rstrip('/')}/#/experiments/{experiment}/runs/{self._run}" if uri.startswith("http") else ""

    def log(self, figures: Figures, step: int) -> None:
        for name, value in figures.items():
            self._client.log_metric(self._run, name, value, step=step)

    def end(self) -> None:
        self._client.set_terminated(self._run)


class WeightsAndBiases:
    def __init__(self, run: Run, env: Mapping[str, str]) -> None:
        project = env.get("WANDB_PROJECT", run.project.replace("/", "-"))
        self._run = import_module("wandb").init(project=project, name=run.name, config=dict(run.settings))
        self.url = self._run.url or ""

    def log(self, figures: Figures, step: int) -> None:
        self._run.log(dict(figures), step=step)

    def end(self) -> None:
        self._run.finish()


class Trackio:
    def __init__(self, run: Run, env: Mapping[str, str]) -> None:
        space = env.get("TRACKIO_SPACE_ID")
        project = env.get("TRACKIO_PROJECT", run.project.replace("/", "-"))
        self._run = import_module("trackio").init(project=project, name=run.name, space_id=space, config=dict(run.settings))
        self.url = f"https://huggingface.co/spaces/{space}" if space else ""

    def log(self, figures: Figures, step: int) -> None:
        self._run.log(dict(figures), step=step)

    def end(self) -> None:
        self._run.finish()


@dataclass(frozen=True)
class Kind:
    library: str
    variables: tuple[str, ...]
    """Any of them asks for it."""
    begin: Callable[[Run, Mapping[str, str]], Tracker]


KINDS = (
    Kind("mlflow", ("MLFLOW_TRACKING_URI",), MLflow),
    Kind("wandb", ("WANDB_API_KEY", "WANDB_MODE"), WeightsAndBiases),
    Kind("trackio", ("TRACKIO_SPACE_ID", "TRACKIO_DIR"), Trackio),
)


def wanted(env: Mapping[str, str], installed: Callable[[str], Any] = find_spec) -> list[Kind]:
    """A library that is asked for and not there is named once in the log."""
    asked = [kind for kind in KINDS if any(env.get(name) for name in kind.variables)]
    for kind in asked:
        if not installed(kind.library):
            log.warning("tracking: %s asks for %s, which this image lacks: name another in pods.image", kind.variables[0], kind.library)
    return [kind for kind in asked if installed(kind.library)]
