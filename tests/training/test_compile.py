"""Layers that train compiled: when they do, and that nothing else is different."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from training.exactness import close
from training.lessons import dataset, job, lesson
from tuneloop_contracts.jobs import Lora, Training
from tuneloop_trainer.learn import compile, together
from tuneloop_trainer.learn.base import Base, load_base
from tuneloop_trainer.learn.compile import Machine, obstacle
from tuneloop_trainer.learn.encode import encode_rows
from tuneloop_trainer.learn.lora.adapter import Adapter
from tuneloop_trainer.learn.precision import choose
from tuneloop_trainer.learn.recompute import layers_of
from tuneloop_trainer.learn.together import train_together
from tuneloop_trainer.learn.trainee import Unit

SETTINGS = Training(epochs=2, learning_rate=2e-2, max_sequence_length=128, tokens_per_step=256)
GPU = Machine((8, 0), triton=True, compiler=True)

Compiled = Callable[..., Any]
"""What a backend gives."""


@pytest.mark.parametrize(
    ("machine", "packed", "checkpointing", "want"),
    [
        pytest.param(GPU, True, False, "", id="a GPU with all that is needed"),
        pytest.param(Machine((7, 0), True, True), True, False, "", id="the oldest one"),
        pytest.param(Machine((6, 1), True, True), True, False, "old", id="an older one"),
        pytest.param(Machine((9, 0), False, True), True, False, "triton", id="no triton"),
        pytest.param(Machine((9, 0), True, False), True, False, "C compiler", id="no compiler"),
        pytest.param(Machine(None, True, True), True, False, "CPU", id="a CPU, whatever else there is"),
        pytest.param(GPU, False, False, "padded", id="rows that are not packed"),
        pytest.param(GPU, True, True, "checkpointing", id="rows that do not fit"),
    ],
)
def test_what_decides(machine: Machine, packed: bool, checkpointing: bool, want: str) -> None:
    found = obstacle(machine, packed=packed, checkpointing=checkpointing)
    assert want in found
    assert bool(found) is bool(want)


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Base:
    return load_base(tiny_base, job(tiny_base, tmp_path, dataset(tmp_path / "data", lesson("x", "Below."))), "", choose("Float32"))


@pytest.fixture
def exact(base: Base) -> Base:
    """In float64, where a difference is a mistake and no rounding."""
    base.model.double()
    return base


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Layers are compiled here too, without a compiler. Gives how many compiled pieces ran: when it was tried, then in each pack."""
    calls, by_pack = 0, []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Compiled:
        run = torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

        def counted(*given: torch.Tensor) -> Any:
            nonlocal calls
            calls += 1
            return run(*given)

        return counted

    def pack(*given: Any) -> dict[str, float]:
        nonlocal calls
        by_pack.append(calls)
        calls = 0
        losses = accumulate_gradients(*given)
        return losses

    accumulate_gradients = together.accumulate_gradients
    monkeypatch.setattr(together, "accumulate_gradients", pack)
    monkeypatch.setattr(together, "obstacle", lambda *_, **__: "")
    monkeypatch.setattr(compile, "HOW", {"backend": backend})
    torch._dynamo.reset()
    yield by_pack
    torch._dynamo.reset()


def units_of(base: Base) -> list[Unit]:
    """Of different lengths, some behind one long beginning: no two passes are alike."""
    system = {"role": "system", "content": "You answer for a shop that sells boxes of all colours, and you are brief."}
    plain = {"support": lesson("support", "Below.", 12)[0], "legal": lesson("legal", "Ask a lawyer.", 3)[0]}
    talks = [replace(one, prompt=(system, *one.prompt)) for one in lesson("x", "It is under the stairs.", 5)[0]]
    return [Unit(name, encode_rows(rows, base.tokenizer, 128)[0], 0) for name, rows in {**plain, "x": talks}.items()]


def trained(base: Base) -> dict[str, Adapter]:
    return train_together(base, units_of(base), Lora(rank=4, dropout=0.1), SETTINGS, lambda step: None)


def test_adapters_are_those_that_train_without(
    exact: Base, ran: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "tuneloop"):
        found = trained(exact)
    assert "train: layers are compiled" in caplog.text
    tried, *packs = ran
    assert tried > 2 * len(layers_of(exact.model))
    assert len(packs) > 1
    assert set(packs) == {tried}, "some pass met what was not compiled"
    monkeypatch.setattr(together, "obstacle", lambda *_, **__: "a test")
    for name, adapter in trained(exact).items():
        close(dict(found[name].tensors), dict(adapter.tensors), 1e-6)


def failing(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Compiled:
    raise RuntimeError("no such kernel")


def wrong(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Compiled:
    run = torch._dynamo.lookup_backend("eager")(graph, inputs)
    return lambda *given: [1.01 * one if isinstance(one, torch.Tensor) else one for one in run(*given)]


@pytest.mark.parametrize(
    ("backend", "said"), [(failing, "the compiler failed (BackendCompilerFailed)"), (wrong, "compiled they give other gradients")]
)
def test_where_it_does_not_work_the_layers_train_as_they_are(
    backend: Compiled, said: str, base: Base, ran: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compile, "HOW", {"backend": backend})
    with caplog.at_level("INFO", "tuneloop"):
        found = trained(base)
    assert caplog.text.count("layers are") == caplog.text.count(f"layers are not compiled: {said}") == 1
    monkeypatch.setattr(together, "obstacle", lambda *_, **__: "a test")
    plain = trained(base)
    assert all(torch.equal(plain[name].tensors[key], tensor) for name in found for key, tensor in found[name].tensors.items())
    assert not any("forward" in vars(layer) for layer in layers_of(base.model))
