"""QLoRA on a tiny model, on the CPU: its gradients are those of plain PEFT over the same quantized base, and it is judged as it serves."""

from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch

from training.exactness import close, own_gradients, peft_gradients, random_adapter
from training.lessons import dataset, job, lesson
from tuneloop_contracts.jobs import CONFIG_ENV, Gate, TrainConfig
from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer import config as configuration
from tuneloop_trainer.config import train_config
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.learn.base import Base, load_base
from tuneloop_trainer.learn.encode import encode_rows
from tuneloop_trainer.learn.job import train_job
from tuneloop_trainer.learn.precision import choose
from tuneloop_trainer.learn.quantize import as_served
from tuneloop_trainer.reporting import Reporter


@pytest.fixture
def config(tiny_base: Path, tmp_path: Path) -> TrainConfig:
    whole = job(tiny_base, tmp_path, dataset(tmp_path / "data", lesson("support", "It is under the stairs.")), gate=Gate(mode="Report"))
    training = whole.training.model_copy(update={"precision": "Float32", "quantization": "NF4"})
    return whole.model_copy(update={"training": training})


@pytest.fixture
def base(tiny_base: Path, config: TrainConfig) -> Base:
    return load_base(tiny_base, config, "", choose("Float32"))


def test_gradients_are_those_of_plain_peft_over_the_same_quantized_base(base: Base) -> None:
    layer = base.model.get_submodule("model.layers.0.mlp.down_proj")
    assert (layer.weight.dtype, layer.weight.quant_state.nested) == (torch.uint8, True)
    rows = encode_rows(lesson("support", "It is under the stairs.")[0], base.tokenizer, 128)[0]
    adapter = random_adapter(base, 1)
    loss, want = peft_gradients(base, adapter, rows)
    losses, found = own_gradients(base, {"x": adapter}, {"x": rows})
    assert losses["x"] == pytest.approx(loss, rel=1e-5)
    close(found["x"], want, 1e-4)


def test_it_learns_and_is_judged_on_the_base_as_it_serves(config: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = as_served(config).model_copy(update={"adapters_uri": f"file://{tmp_path}/plain"})
    with caplog.at_level("INFO", "tuneloop"):
        (adapter,), (usual,) = train_job(config, Reporter()).adapters, train_job(plain, Reporter()).adapters
    assert "in NF4, computed in float32" in caplog.text
    assert adapter.loss.base == usual.loss.base, "judged over the base that serves"
    assert float(adapter.loss.candidate) < float(adapter.loss.base) - 1
    assert adapter.loss.candidate != usual.loss.candidate, "trained over another"


def without(*missing: str) -> Callable[[str], ModuleSpec | None]:
    return lambda name: None if name in missing else ModuleSpec(name, None)


def test_without_bitsandbytes_the_field_the_value_and_the_fix_are_named(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    env = {CONFIG_ENV: config.model_dump_json(by_alias=True)}
    monkeypatch.setattr(configuration, "find_spec", without())
    assert train_config(env) == config
    monkeypatch.setattr(configuration, "find_spec", without("bitsandbytes"))
    with pytest.raises(NeedsEdit) as refused:
        train_config(env)
    assert refused.value.fault.reason is FaultReason.INVALID_CONFIG
    for part in ("training.quantization: NF4", "bitsandbytes", "use None", "pods.image"):
        assert part in refused.value.fault.message
    assert train_config({CONFIG_ENV: as_served(config).model_dump_json(by_alias=True)})
