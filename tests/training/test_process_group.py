"""Two processes that torchrun starts train one adapter together, over gloo; what one process gives is what they give."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.command import command
from training.lessons import dataset, job, lesson
from training.receiver import Receiver
from tuneloop_contracts.adapters import WEIGHTS_FILE
from tuneloop_contracts.jobs import CONFIG_ENV, PROGRESS_URL_ENV, TrainConfig, Training, Workers
from tuneloop_contracts.progress import FaultReason, Report
from tuneloop_trainer.learn.checkpoint import FOLDER
from tuneloop_trainer.learn.job import train_job
from tuneloop_trainer.reporting import Reporter

TWO = Workers(per_node=2)


@pytest.fixture
def config(tiny_base: Path, tmp_path: Path) -> TrainConfig:
    """Steps of several packs, so that each process has some."""
    data = dataset(tmp_path / "data", lesson("support", "It is under the stairs.", train=60))
    return job(tiny_base, tmp_path, data, training=Training(epochs=2, learning_rate=5e-3, max_sequence_length=128, tokens_per_step=3000))


def weights(report: Report) -> dict[str, torch.Tensor]:
    (adapter,) = report.adapters
    return load_file(Path(adapter.uri.removeprefix("file://")) / WEIGHTS_FILE)


def test_two_processes_give_what_one_gives_and_report_once(config: TrainConfig, tmp_path: Path, receiver: Receiver) -> None:
    alone = weights(train_job(config, Reporter()))
    both = config.model_copy(update={"workers": TWO, "adapters_uri": f"file://{tmp_path}/both"})
    done = command("train", **{CONFIG_ENV: both.model_dump_json(by_alias=True), PROGRESS_URL_ENV: receiver.url, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    (said,) = receiver.bodies("report")
    together = weights(Report.model_validate(said))
    assert alone.keys() == together.keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, rtol=1e-3, atol=1e-4)
    assert done.stderr.count("step 1/") == 1, "one process speaks"
    assert not list((tmp_path / "both" / FOLDER).glob("*"))


def test_what_needs_an_edit_in_every_process_is_not_tried_again(config: TrainConfig, receiver: Receiver) -> None:
    other = config.model_copy(update={"workers": TWO, "expected_base_digest": "sha256:1234"})
    done = command("train", **{CONFIG_ENV: other.model_dump_json(by_alias=True), PROGRESS_URL_ENV: receiver.url, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 2, done.stderr
    (said,) = receiver.bodies("report")
    fault = Report.model_validate(said).fault
    assert fault
    assert fault.reason is FaultReason.BASE_MISMATCH
