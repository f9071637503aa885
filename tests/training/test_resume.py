"""A training that is interrupted anywhere and taken up again ends with the same bits."""

import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch

from training.command import environment
from training.exactness import close
from training.lessons import dataset, job, lesson
from tuneloop_contracts.jobs import CONFIG_ENV, Lora, TrainConfig, Training
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.stores import Store
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.learn import together
from tuneloop_trainer.learn.base import Base, load_base
from tuneloop_trainer.learn.checkpoint import FOLDER, Checkpoint, Checkpointer, forget_abandoned
from tuneloop_trainer.learn.encode import encode_rows
from tuneloop_trainer.learn.job import train_job
from tuneloop_trainer.learn.lora.adapter import Adapter
from tuneloop_trainer.learn.precision import choose
from tuneloop_trainer.learn.together import StepResult, train_together
from tuneloop_trainer.learn.token_budget import TokenBudget
from tuneloop_trainer.learn.trainee import Unit
from tuneloop_trainer.reporting import Reporter
from tuneloop_trainer.stopping import EXIT_CODE, Stop

SETTINGS = Training(epochs=3, learning_rate=2e-2, max_sequence_length=128, tokens_per_step=400)
LORA = Lora(rank=4, dropout=0.1)
NOW = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    """Several packs a step: memory is for no more."""
    monkeypatch.setattr(together, "find_token_budget", lambda *_: TokenBudget(100))
    config = job(tiny_base, tmp_path, dataset(tmp_path / "data", lesson("support", "Below.")))
    return load_base(tiny_base, config, "sha256:0", choose("Float32"))


@pytest.fixture
def units(base: Base) -> list[Unit]:
    lessons = {"support": "It is under the stairs.", "legal": "Ask a lawyer."}
    rows = {name: encode_rows(lesson(name, answer, 14)[0], base.tokenizer, 128)[0] for name, answer in lessons.items()}
    return [Unit("support", rows["support"], seed=0), Unit("legal", rows["legal"][:9], seed=1)]


class Killed(Exception):
    pass


def trained(
    base: Base, units: list[Unit], checkpointer: Checkpointer | None = None, die_at: int = 0, lora: Lora = LORA
) -> dict[str, Adapter]:
    def on_step(done: StepResult) -> None:
        if done.seconds and done.step == die_at:
            raise Killed

    return train_together(base, units, lora, SETTINGS, on_step, checkpointer)


def same(one: dict[str, Adapter], other: dict[str, Adapter]) -> bool:
    return all(torch.equal(tensor, other[unit].tensors[name]) for unit, adapter in one.items() for name, tensor in adapter.tensors.items())


class StopAfter(Stop):
    """Is asked to stop when `packs` more packs are done."""

    def __init__(self, packs: int) -> None:
        super().__init__()
        self.left = packs


class Counting(Checkpointer):
    @property
    def due(self) -> bool:
        assert isinstance(self.stop, StopAfter)
        self.stop.left -= 1
        if self.stop.left == 0:
            self.stop.asked.set()
        return super().due


def test_stopped_after_any_pack_it_goes_on_to_the_same_bits(base: Base, units: list[Unit], tmp_path: Path) -> None:
    whole = trained(base, units)
    store = Store(f"file://{tmp_path}/kept")
    for packs in (1, 2, 3, 5, 8):
        with pytest.raises(SystemExit) as left:
            trained(base, units, Counting(store, StopAfter(packs)))
        assert left.value.code == EXIT_CODE
    last = Checkpointer(store).last()
    assert last
    assert sum(map(len, last.progress["losses"].values())) > 0
    assert same(whole, trained(base, units, Checkpointer(store)))


@pytest.mark.parametrize("die_at", [1, 2, 4])
def test_killed_without_a_word_it_goes_on_from_the_last_checkpoint(base: Base, units: list[Unit], tmp_path: Path, die_at: int) -> None:
    store = Store(f"file://{tmp_path}/kept")
    with pytest.raises(Killed):
        trained(base, units, Checkpointer(store, every=0.0), die_at)
    kept = Checkpointer(store).last()
    assert kept
    assert kept.progress["packs"] > 0, "in the midst of a step"
    assert same(trained(base, units), trained(base, units, Checkpointer(store)))


def test_a_pod_with_other_memory_begins_the_interrupted_step_anew(
    base: Base, units: list[Unit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base.model.double()  # where a difference is a mistake and no rounding
    store, plain = Store(f"file://{tmp_path}/kept"), Lora(rank=4)
    with pytest.raises(SystemExit):
        trained(base, units, Counting(store, StopAfter(1)), lora=plain)
    monkeypatch.setattr(together, "find_token_budget", lambda *_: TokenBudget(200))
    whole, again = trained(base, units, lora=plain), trained(base, units, Checkpointer(store), lora=plain)
    for unit, adapter in whole.items():
        close(dict(again[unit].tensors), dict(adapter.tensors), 1e-4)


def test_a_checkpoint_that_is_damaged_or_of_others_is_not_used(base: Base, units: list[Unit], tmp_path: Path) -> None:
    file, whole = tmp_path / "kept", trained(base, units)
    checkpointer = Checkpointer(Store(f"file://{file}"), every=0.0)
    with pytest.raises(Killed):
        trained(base, units, checkpointer, die_at=2)
    content = file.read_bytes()
    for damaged in (content[:-1], content[:99], b"", content[:-100] + bytes(100)):
        file.write_bytes(damaged)
        assert checkpointer.last() is None
        assert same(whole, trained(base, units, Checkpointer(checkpointer.store)))
    file.write_bytes(content)
    assert same({"legal": whole["legal"]}, trained(base, units[1:], Checkpointer(checkpointer.store)))


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    weights = torch.tensor([0.1, float("inf"), -0.0])
    kept = Checkpoint({"a/weights": weights}, {"losses": {"a": [0.1, 1 / 3]}, "packs": 2, "round": {"a": 1e-300}})
    got = Checkpoint.from_bytes(kept.to_bytes())
    assert torch.equal(got.tensors["a/weights"], weights)
    assert got.progress == kept.progress


@pytest.fixture
def config(tiny_base: Path, tmp_path: Path) -> TrainConfig:
    data = dataset(tmp_path / "data", lesson("support", "It is under the stairs.", train=40))
    return job(tiny_base, tmp_path, data, training=SETTINGS.model_copy(update={"epochs": 400}))


def test_what_can_never_be_trained_leaves_no_checkpoint(config: TrainConfig, tmp_path: Path) -> None:
    checkpointer = Checkpointer.of(config, Stop())
    checkpointer.keep(Checkpoint({}, {}), leave=False)
    assert list((tmp_path / "adapters" / FOLDER).iterdir())
    with pytest.raises(NeedsEdit), checkpointer.keeping():
        raise NeedsEdit(FaultReason.DIVERGED, "the loss was no number")
    assert not list((tmp_path / "adapters" / FOLDER).iterdir())


def test_a_checkpoint_that_nobody_goes_on_with_is_taken_away_in_the_end(config: TrainConfig) -> None:
    checkpointers = [Checkpointer.of(config.model_copy(update={"job_uid": uid}), Stop()) for uid in ("deleted", "waiting")]
    for checkpointer, age in zip(checkpointers, (timedelta(days=8), timedelta(days=6)), strict=True):
        checkpointer.keep(Checkpoint({}, {}), leave=False)
        assert checkpointer.store
        written = (NOW - age).timestamp()
        os.utime(checkpointer.store.location, (written, written))
    forget_abandoned(config, now=NOW)
    assert [bool(checkpointer.last()) for checkpointer in checkpointers] == [False, True]
    forget_abandoned(config.model_copy(update={"adapters_uri": config.adapters_uri + "/none"}), now=NOW)


def process(config: TrainConfig) -> subprocess.Popen[str]:
    env = environment(**{CONFIG_ENV: config.model_dump_json(by_alias=True)})
    return subprocess.Popen(
        [sys.executable, "-m", "tuneloop_trainer", "train"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def test_a_pod_that_is_preempted_keeps_what_it_did_and_the_next_ends_with_the_same_adapter(config: TrainConfig, tmp_path: Path) -> None:
    elsewhere = config.model_copy(update={"adapters_uri": f"file://{tmp_path}/elsewhere"})
    (whole,) = train_job(elsewhere, Reporter()).adapters
    first = process(config)
    assert first.stderr
    try:
        next(line for line in first.stderr if "step 1/" in line)
        first.send_signal(signal.SIGTERM)
        said = first.communicate(timeout=60)[1]
    finally:
        first.kill()
    assert (first.returncode, "is kept" in said) == (EXIT_CODE, True)
    assert [file.suffix for file in (tmp_path / "adapters" / FOLDER).iterdir()] == [".safetensors"]
    second = process(config)
    said = second.communicate(timeout=240)[1]
    assert second.returncode == 0, said
    assert re.search(r"goes on where an earlier pod stopped, at steps support \d+/", said)
    assert {path.name for path in (tmp_path / "adapters" / "support").iterdir()} == {whole.uri.rsplit("/", 1)[-1]}
    assert not list((tmp_path / "adapters" / FOLDER).iterdir())
