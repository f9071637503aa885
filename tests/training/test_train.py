"""Training on a tiny model: exact, the same each time, and learning."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest
import torch
from peft import LoraConfig, get_peft_model

from training.exactness import LORA, close, own_gradients, peft_gradients, random_adapter
from training.lessons import dataset, job, lesson, row
from tuneloop_contracts.jobs import Lora, Training
from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.errors import NeedsEdit, TrainerError, TryLater
from tuneloop_trainer.learn.base import Base, load_base
from tuneloop_trainer.learn.encode import Encoded, encode_rows
from tuneloop_trainer.learn.forward import ModelCapabilities
from tuneloop_trainer.learn.lora.adapter import Adapter, fresh
from tuneloop_trainer.learn.memory import memory_named
from tuneloop_trainer.learn.precision import choose
from tuneloop_trainer.learn.score import ScoreRequest, row_losses
from tuneloop_trainer.learn.together import StepResult, train_together
from tuneloop_trainer.learn.trainee import Trainee, Unit, learned_out, rate_factor
from tuneloop_trainer.rows import Row

QUICK = Training(epochs=3, learning_rate=2e-2, max_sequence_length=128, tokens_per_step=256)
ANSWER = "It is under the stairs."


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Base:
    config = job(tiny_base, tmp_path, dataset(tmp_path / "data", lesson("support", ANSWER)))
    return load_base(tiny_base, config, "sha256:0", choose("Float32"))


@pytest.fixture
def exact(base: Base) -> Base:
    """In float64, where a difference is a mistake and no rounding."""
    base.model.double()
    return base


def encoded(base: Base, rows: Sequence[Row]) -> list[Encoded]:
    return encode_rows(rows, base.tokenizer, 128)[0]


def rows_of(base: Base, count: int = 12, domain: str = "support", answer: str = ANSWER) -> list[Encoded]:
    return encoded(base, lesson(domain, answer, count)[0])


def talks_of(base: Base) -> list[Encoded]:
    """Conversations of several turns behind one system prompt, each turn's answer learned, of different weights."""
    system = {"role": "system", "content": "You answer for a shop that sells boxes of all colours, and you are brief."}
    talks = []
    for n in range(4):
        said = {"role": "assistant", "content": f"Box {n}."}
        turns = [message for number in range(3) for message in (*row(10 * n + number, "x", "").prompt, said)]
        talks.append(Row(f"t{n}", "x", f"c{n}", (system, turns[0]), tuple(turns[1:]), learned=(0, 2, 4), weight=1 / (1 + n)))
    return encoded(base, talks)


@pytest.mark.parametrize(
    "capabilities",
    [
        ModelCapabilities(),
        ModelCapabilities(forests=False),
        ModelCapabilities(plain_head=False),
        ModelCapabilities(forests=False, plain_head=False),
    ],
    ids=str,
)
@pytest.mark.parametrize("limit", [80, 1024])
def test_gradients_are_those_of_plain_peft_row_by_row(exact: Base, capabilities: ModelCapabilities, limit: int) -> None:
    base, rows = replace(exact, capabilities=capabilities), talks_of(exact)
    adapter = random_adapter(base, 1)
    want_loss, want = peft_gradients(base, adapter, rows)
    losses, found = own_gradients(base, {"x": adapter}, {"x": rows}, limit)
    assert losses["x"] == pytest.approx(want_loss, rel=1e-6)
    close(found["x"], want, 1e-6)


def test_adapters_in_the_same_passes_get_the_gradients_of_separate_ones(exact: Base) -> None:
    steps: dict[str, Sequence[Encoded]] = {"x": talks_of(exact), "support": rows_of(exact, 5), "legal": rows_of(exact, 3, "legal", "No.")}
    adapters = {name: random_adapter(exact, seed, Lora(rank=2 + seed)) for seed, name in enumerate(steps)}
    losses, together = own_gradients(exact, adapters, steps)
    for name, rows in steps.items():
        alone, separate = own_gradients(exact, {name: adapters[name]}, {name: rows})
        assert losses[name] == pytest.approx(alone[name], rel=1e-9)
        close(together[name], separate[name], 1e-9)


def trained(base: Base, units: Sequence[Unit], lora: Lora = LORA, settings: Training = QUICK) -> dict[str, Adapter]:
    return train_together(base, units, lora, settings, lambda step: None)


def units_of(base: Base) -> list[Unit]:
    """Of different lengths and seeds, so that one ends before another."""
    legal = rows_of(base, 4, "legal", "Ask a lawyer, please.")
    return [Unit("support", rows_of(base), 0), Unit("legal", legal, 1), Unit("x", talks_of(base), 2)]


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_an_adapter_trained_beside_others_is_the_one_trained_alone(exact: Base, dropout: float) -> None:
    lora = Lora(rank=4, dropout=dropout)
    together = trained(exact, units_of(exact), lora)
    for unit in units_of(exact):
        alone = trained(exact, [unit], lora)[unit.name]
        close(dict(together[unit.name].tensors), dict(alone.tensors), 1e-6)


def test_in_single_precision_too_held_out_losses_agree(base: Base) -> None:
    together, held_out = trained(base, units_of(base)), rows_of(base, 4)
    for unit in units_of(base):
        alone = trained(base, [unit])[unit.name]
        asked = [ScoreRequest(name, one) for name in ("together", "alone") for one in held_out]
        losses = torch.cat(row_losses(base, {"together": together[unit.name], "alone": alone}, asked)).chunk(2)
        assert losses[0].mean().item() == pytest.approx(losses[1].mean().item(), abs=1e-3)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_one_seed_gives_one_result_and_another_seed_another(base: Base, dropout: float) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        return dict(trained(base, [Unit("x", talks_of(base), seed)], Lora(rank=4, dropout=dropout))["x"].tensors)

    one, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_dropout_changes_what_is_learned_and_not_what_is_scored(base: Base) -> None:
    plain, dropped = (trained(base, [Unit("x", talks_of(base), 0)], Lora(rank=4, dropout=p))["x"] for p in (0.0, 0.5))
    assert not all(torch.equal(plain.tensors[name], dropped.tensors[name]) for name in plain.tensors)
    asked = [ScoreRequest("x", one) for one in talks_of(base)]
    assert torch.equal(torch.cat(row_losses(base, {"x": dropped}, asked)), torch.cat(row_losses(base, {"x": dropped}, asked)))


def test_a_fresh_adapter_is_the_one_peft_makes_under_that_seed(base: Base) -> None:
    torch.manual_seed(5)
    with pytest.warns(FutureWarning):
        model = get_peft_model(base.model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    want = {name.replace(".default.", "."): p.detach().clone() for name, p in model.named_parameters() if "lora_" in name}
    model.unload()
    found = fresh(base, LORA, 5).tensors
    assert found.keys() == want.keys()
    assert all(torch.equal(found[name], want[name]) for name in want)


def test_loss_falls_and_the_base_stays_as_it_was(base: Base) -> None:
    before = {name: value.clone() for name, value in base.model.state_dict().items()}
    held_out = encoded(base, lesson("support", ANSWER)[1])
    steps: list[StepResult] = []
    adapter = train_together(base, [Unit("support", rows_of(base), 0)], Lora(), QUICK, steps.append)["support"]
    asked = [ScoreRequest(name, one) for name in (None, "support") for one in held_out]
    first, after = torch.cat(row_losses(base, {"support": adapter}, asked)).chunk(2)
    assert [step.step for step in steps] == list(range(1, steps[0].steps + 1))
    assert steps[-1].loss < steps[0].loss - 1
    assert after.mean() < first.mean()
    assert {name: torch.equal(value, before[name]) for name, value in base.model.state_dict().items()} == dict.fromkeys(before, True)


def test_a_rows_weight_scales_its_loss(exact: Base) -> None:
    rows = rows_of(exact, 2)
    adapter = {"x": random_adapter(exact, 0)}
    _, whole = own_gradients(exact, adapter, {"x": rows})
    _, first = own_gradients(exact, adapter, {"x": [rows[0], replace(rows[1], weight=0.0)]})
    _, second = own_gradients(exact, adapter, {"x": [replace(rows[0], weight=0.0), rows[1]]})
    close({name: first["x"][name] + second["x"][name] for name in first["x"]}, whole["x"], 1e-6)


def test_a_loss_that_is_no_number_ends_it_and_names_step_and_rows(base: Base) -> None:
    settings = QUICK.model_copy(update={"learning_rate": 1e30, "epochs": 20})
    with pytest.raises(NeedsEdit) as diverged:
        trained(base, [Unit("support", rows_of(base), 0)], settings=settings)
    assert diverged.value.fault.reason is FaultReason.DIVERGED
    for part in ("learningRate", "support, step ", "rows sha256:"):
        assert part in diverged.value.fault.message
    assert not any("AdaptedLinear" in type(module).__name__ for module in base.model.modules())


def test_an_adapter_that_learns_nothing_more_stops_and_spares_the_rest(base: Base) -> None:
    steps: list[StepResult] = []
    idle = QUICK.model_copy(update={"learning_rate": 1e-12, "epochs": 5})
    train_together(base, [Unit("support", rows_of(base), 0)], LORA, idle, steps.append)
    epoch = len(Trainee(Unit("support", rows_of(base), 0), fresh(base, LORA, 0), QUICK).steps) // 3
    assert len(steps) == 2 * epoch
    assert [step.spared > 0 for step in steps] == [False] * (len(steps) - 1) + [True]
    assert sum(step.tokens + step.spared for step in steps) == 5 * sum(len(one.tokens) for one in rows_of(base))


@pytest.mark.parametrize(
    ("losses", "want"),
    [
        pytest.param([3.0, 3.0], False, id="one epoch tells nothing"),
        pytest.param([3.0, 3.0, 2.0, 2.0], False, id="falling"),
        pytest.param([3.0, 2.0, 2.0, 3.0], True, id="not falling"),
        pytest.param([3.0, 2.0, 2.0, 3.0, 1.0], True, id="it was told at the end of the epoch"),
        pytest.param([3.0, 3.0, 2.0, 2.0, 2.5], False, id="within an epoch nothing is told"),
    ],
)
def test_when_an_adapter_stops(losses: list[float], want: bool) -> None:
    assert learned_out(losses, [10] * 6, [0, 2, 4, 6]) is want


@pytest.mark.parametrize(
    ("changes", "want"),
    [
        pytest.param({"model_type": "vit"}, "cannot be loaded", id="another kind of model"),
        pytest.param({"hidden_size": 96}, "cannot be loaded", id="weights of another size"),
        pytest.param({"num_attention_heads": 5}, "cannot be loaded", id="heads that do not divide the width"),
        pytest.param({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "cannot be loaded", id="needs what is not installed"),
        pytest.param({"model_type": "new", "auto_map": {"AutoConfig": "new.New"}}, "cannot be loaded", id="code of its own"),
        pytest.param({"num_hidden_layers": 3}, r"lacks 9 of its weights, such as model\.layers\.2\.", id="more layers than weights"),
        pytest.param({}, "cannot be loaded", id="weights cut short"),
    ],
)
def test_a_base_that_cannot_be_loaded_is_named_with_what_it_must_be(
    changes: dict[str, object], want: str, tiny_base: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "base"
    copytree(tiny_base, folder)
    settings, weights = folder / "config.json", folder / "model.safetensors"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | changes))
    if not changes:
        weights.write_bytes(weights.read_bytes()[:20_000])
    config = job(folder, tmp_path, dataset(tmp_path / "data", lesson("x", "Below.")))
    with pytest.raises(NeedsEdit, match=f"{config.base_uri} {want}.*: it must be a causal language model") as refused:
        load_base(folder, config, "", choose("Float32"))
    assert refused.value.fault.reason is FaultReason.UNSUPPORTED_MODEL


@pytest.mark.parametrize(("template", "want"), [("", "no chat template"), ("{% for message in %}", "does not take a question")])
def test_a_base_without_a_chat_template_that_works_is_named(template: str, want: str, tiny_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    copytree(tiny_base, folder)
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(NeedsEdit, match=want):
        load_base(folder, job(folder, tmp_path, dataset(tmp_path / "data", lesson("x", "Below."))), "", choose("Float32"))


def test_layers_that_are_not_there_are_named(base: Base) -> None:
    with pytest.raises(NeedsEdit) as refused:
        fresh(base, Lora(target_modules=("query_key_value",)), seed=0)
    assert refused.value.fault.reason is FaultReason.UNSUPPORTED_MODEL
    assert "query_key_value" in refused.value.fault.message


def test_adapters_and_base_are_scored_side_by_side_as_peft_would(exact: Base) -> None:
    rows = talks_of(exact) + rows_of(exact, 3)
    adapters = {"a": random_adapter(exact, 1), "b": random_adapter(exact, 2, Lora(rank=8))}
    names = ["a", "b", None]
    found = row_losses(exact, adapters, [ScoreRequest(names[n % 3], one) for n, one in enumerate(rows)])
    assert [len(nats) for nats in found] == [one.supervised for one in rows]
    for n, one in enumerate(rows):
        name = names[n % 3]
        chosen = adapters[name] if name else fresh(exact, LORA, 0)  # a fresh one changes nothing
        loss, _ = peft_gradients(exact, chosen, [replace(one, weight=1.0)])
        assert found[n].mean().item() == pytest.approx(loss, rel=1e-6)


def test_the_learning_rate_warms_up_then_falls_to_almost_nothing() -> None:
    factors = [rate_factor(step, 100) for step in range(100)]
    assert factors[:3] == [pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0]
    assert factors[3:] == sorted(factors[3:], reverse=True)
    assert 0 < factors[-1] < 0.02
    assert rate_factor(0, 1) == 1.0


@pytest.mark.parametrize(
    ("error", "want"),
    [
        pytest.param(MemoryError(), TryLater, id="Python"),
        pytest.param(torch.OutOfMemoryError("CUDA out of memory"), TryLater, id="CUDA"),
        pytest.param(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), TryLater, id="CPU"),
        pytest.param(RuntimeError("shapes do not match"), RuntimeError, id="another mistake stays what it is"),
    ],
)
def test_out_of_memory(error: Exception, want: type[Exception]) -> None:
    with pytest.raises(want) as raised, memory_named():
        raise error
    if isinstance(raised.value, TrainerError):
        assert raised.value.fault.reason is FaultReason.OUT_OF_MEMORY
        assert "tokensPerStep" in raised.value.fault.message


def test_a_cpu_without_bfloat16_units_computes_in_float32() -> None:
    placement = choose("Auto")
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    assert torch.cuda.is_available() or placement.dtype is (torch.bfloat16 if native else torch.float32)
    assert torch.cuda.is_available() or choose("BFloat16").dtype is torch.bfloat16
