"""Training on a tiny model: exact, the same each time, and learning."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training.lessons import dataset, job, lesson
from tuneloop_contracts.jobs import Lora, Training
from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.errors import NeedsEdit, TrainerError, TryLater
from tuneloop_trainer.learn.adapters import attach, detach
from tuneloop_trainer.learn.base import Base, load_base
from tuneloop_trainer.learn.encode import Encoded, encode_rows
from tuneloop_trainer.learn.evaluate import held_out_losses
from tuneloop_trainer.learn.loss import padded, token_losses
from tuneloop_trainer.learn.precision import choose
from tuneloop_trainer.learn.train import StepDone, accumulate, memory_named, rate_factor, train_domain

QUICK = Training(epochs=3, learning_rate=2e-2, max_sequence_length=128, tokens_per_step=256)
ANSWER = "It is under the stairs."


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Base:
    config = job(tiny_base, tmp_path, dataset(tmp_path / "data", lesson("support", ANSWER)))
    return load_base(tiny_base, config, "sha256:0", choose("Float32"))


def rows_of(base: Base, count: int = 12) -> list[Encoded]:
    return encode_rows(lesson("support", ANSWER, count)[0], base.tokenizer, 128)[0]


def full_logits_losses(base: Base, rows: list[Encoded]) -> torch.Tensor:
    """The plain way: every position's logits, then the supervised ones."""
    losses = []
    for row in rows:
        logits = base.model(input_ids=torch.tensor([row.tokens])).logits[0]
        answer = torch.tensor(row.tokens[row.answer :])
        losses.append(torch.nn.functional.cross_entropy(logits[row.answer - 1 : -1], answer, reduction="none"))
    return torch.cat(losses)


def test_losses_at_supervised_tokens_alone_are_those_of_full_logits(base: Base) -> None:
    rows = [replace(row, tokens=row.tokens[: len(row.tokens) - n % 3]) for n, row in enumerate(rows_of(base))]
    with torch.inference_mode():
        torch.testing.assert_close(token_losses(base.model, rows, base.placement.device), full_logits_losses(base, rows))


def test_the_head_sees_supervised_tokens_only(base: Base) -> None:
    rows, seen = rows_of(base), []
    head = base.model.get_output_embeddings()
    handle = head.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    token_losses(base.model, rows, base.placement.device)
    handle.remove()
    assert seen == [(1, sum(row.supervised for row in rows), 49152)]


def test_gradients_are_those_of_full_logits_and_do_not_depend_on_batches(base: Base) -> None:
    rows = rows_of(base, 6)
    gradients = []
    for cut in (None, (tuple(rows),), tuple((row,) for row in rows)):
        model = attach(base, Lora(rank=4), seed=0)
        torch.nn.init.normal_(next(p for n, p in model.named_parameters() if "lora_B" in n), std=0.1)
        if cut is None:
            full_logits_losses(base, rows).mean().backward()
        else:
            accumulate(model, cut, base.placement.device)
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.requires_grad})
        detach(model)
    for other in gradients[1:]:
        torch.testing.assert_close(gradients[0], other, rtol=1e-4, atol=1e-6)


def test_loss_falls_and_the_base_stays_as_it_was(base: Base) -> None:
    before = {name: value.clone() for name, value in base.model.state_dict().items()}
    rows = rows_of(base)
    held_out = encode_rows(lesson("support", ANSWER)[1], base.tokenizer, 128)[0]
    first = held_out_losses(base.model, held_out, base.placement)
    model = attach(base, Lora(), seed=0)
    steps: list[StepDone] = []
    train_domain(model, rows, QUICK, base.placement, steps.append)
    after = held_out_losses(model, held_out, base.placement)
    detach(model)
    assert [step.step for step in steps] == list(range(1, steps[0].steps + 1))
    assert steps[-1].loss < steps[0].loss - 1
    assert all(one < other for one, other in zip(after, first, strict=True))
    assert {name: torch.equal(value, before[name]) for name, value in base.model.state_dict().items()} == dict.fromkeys(before, True)
    assert held_out_losses(base.model, held_out, base.placement) == first


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_one_seed_gives_one_result_and_another_seed_another(base: Base, dropout: float) -> None:
    def trained(seed: int) -> dict[str, torch.Tensor]:
        model = attach(base, Lora(dropout=dropout), seed)
        train_domain(model, rows_of(base), QUICK.model_copy(update={"seed": seed}), base.placement, lambda step: None)
        weights = {name: value.detach().clone() for name, value in model.named_parameters() if "lora_" in name}
        detach(model)
        return weights

    one, again, other = trained(0), trained(0), trained(1)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_loss_that_is_no_number_ends_it(base: Base) -> None:
    model = attach(base, Lora(), seed=0)
    settings = QUICK.model_copy(update={"learning_rate": 1e30, "epochs": 20})
    with pytest.raises(NeedsEdit) as diverged:
        train_domain(model, rows_of(base), settings, base.placement, lambda step: None)
    assert diverged.value.fault.reason is FaultReason.DIVERGED
    assert "learningRate" in diverged.value.fault.message


def test_layers_that_are_not_there_are_named(base: Base) -> None:
    with pytest.raises(NeedsEdit) as refused:
        attach(base, Lora(target_modules=("query_key_value",)), seed=0)
    assert refused.value.fault.reason is FaultReason.UNSUPPORTED_MODEL
    assert "query_key_value" in refused.value.fault.message


def test_padding_is_never_attended_to(base: Base) -> None:
    rows = [Encoded("a", (5, 6, 7), 1), Encoded("b", (8, 9, 10, 11, 12), 2)]
    tokens, mask = padded(rows, torch.device("cpu"))
    assert tokens.shape == (2, 5)
    assert mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]


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


