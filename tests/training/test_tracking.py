"""Figures of a training in a real MLflow, and trackers that are broken, slow or not installed."""

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from training.lessons import dataset, job, lesson
from tuneloop_contracts.jobs import Training
from tuneloop_trainer import tracking
from tuneloop_trainer.learn.job import train_job
from tuneloop_trainer.reporting import Reporter
from tuneloop_trainer.trackers import Figures, Kind, Run, wanted
from tuneloop_trainer.tracking import Tracking

RUN = Run("chat/chat-llm", "chat/week-47", {"lora_rank": 4})
ANSWER = "It is under the stairs."


@pytest.mark.filterwarnings("ignore")
def test_a_training_is_followed_in_mlflow_and_no_text_of_it(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow import MlflowClient

    uri = f"file://{tmp_path}/runs"
    data = dataset(tmp_path / "data", lesson("support", ANSWER))
    config = job(tiny_base, tmp_path, data, training=Training(epochs=2, tokens_per_step=256))
    report = train_job(config, Reporter(tracking=Tracking.from_env({"MLFLOW_TRACKING_URI": uri})))
    client = MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name("chat/chat-llm").experiment_id])
    assert (run.info.run_name, run.info.status) == ("chat/week-47", "FINISHED")
    assert (run.data.params["lora_rank"], run.data.params["training_epochs"]) == ("16", "2")
    losses = client.get_metric_history(run.info.run_id, "support/loss")
    assert [metric.step for metric in losses] == list(range(1, len(losses) + 1))
    assert losses
    assert report.run_url is None, "files have no address that people can open"
    assert not [file for file in (tmp_path / "runs").rglob("*") if file.is_file() and b"stairs" in file.read_bytes()]


class Broken:
    """Begins, takes `steps` steps, then fails."""

    url = "https://runs/7"

    def __init__(self, steps: int) -> None:
        self.left, self.asked = steps, 0

    def log(self, figures: Figures, step: int) -> None:
        self.asked += 1
        self.left -= 1
        if self.left < 0:
            raise ConnectionError("its text may hold a key")

    def end(self) -> None:
        raise ConnectionError


def test_one_that_breaks_is_asked_no_more_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    breaking, whole = Broken(2), Broken(99)

    def refuses(run: Run, env: Mapping[str, str]) -> Broken:
        raise PermissionError("a key")

    kinds = [Kind("a", (), refuses), Kind("b", (), lambda run, env: breaking), Kind("c", (), lambda run, env: whole)]
    following = Tracking(kinds)
    following.begin(RUN)
    for step in range(5):
        following.log({"support/loss": 1.0}, step)
    assert following.end() == "https://runs/7"
    assert (breaking.asked, whole.asked) == (3, 5)
    assert "a key" not in caplog.text
    assert caplog.text.count("ConnectionError") == 2
    assert "a does not take the run (PermissionError)" in caplog.text


def test_one_that_hangs_does_not_hold_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "PATIENCE", 0.1)
    never = threading.Event()

    def hangs(run: Run, env: Mapping[str, str]) -> Broken:
        never.wait(60)
        return Broken(0)

    following = Tracking([Kind("a", (), hangs)])
    following.begin(RUN)
    for step in range(20_000):
        following.log({"support/loss": 1.0}, step)
    assert following.end() == ""
    never.set()


@pytest.mark.parametrize(
    ("env", "installed", "want"),
    [
        ({}, {"mlflow", "wandb", "trackio"}, []),
        ({"MLFLOW_TRACKING_URI": "http://m"}, {"mlflow", "wandb"}, ["mlflow"]),
        ({"WANDB_MODE": "offline", "TRACKIO_SPACE_ID": "a/b"}, {"wandb", "trackio"}, ["wandb", "trackio"]),
        ({"WANDB_API_KEY": "k", "MLFLOW_TRACKING_URI": ""}, {"mlflow"}, []),
    ],
)
def test_the_environment_chooses_and_the_image_must_hold_it(env: dict[str, str], installed: set[str], want: list[str]) -> None:
    assert [kind.library for kind in wanted(env, lambda library: library in installed or None)] == want
