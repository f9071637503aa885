"""How many tokens a pass may have, by the memory there is; and what happens when a row does not fit."""

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest
import torch

from tinymodel import make_tiny_model
from training.exactness import LORA, own_gradients, random_adapter
from training.lessons import dataset, job, lesson
from tuneloop_contracts.jobs import Training
from tuneloop_trainer.learn import together
from tuneloop_trainer.learn.base import Base, load_base
from tuneloop_trainer.learn.encode import Encoded, encode_rows
from tuneloop_trainer.learn.forward import reading
from tuneloop_trainer.learn.lora.installed import installed
from tuneloop_trainer.learn.packs.pack import AdapterTree, Packer
from tuneloop_trainer.learn.precision import choose
from tuneloop_trainer.learn.recompute import layers_of, recomputed
from tuneloop_trainer.learn.together import accumulate_gradients, train_together
from tuneloop_trainer.learn.token_budget import USED, TokenBudget, allowed_memory, kept_by_token, token_budget
from tuneloop_trainer.learn.trainee import Unit

SETTINGS = Training(epochs=1, learning_rate=1e-2, max_sequence_length=128, tokens_per_step=512)


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Base:
    return load_base(tiny_base, job(tiny_base, tmp_path, dataset(tmp_path / "data", lesson("x", "Below."))), "", choose("Float32"))


@pytest.fixture
def rows(base: Base) -> list[Encoded]:
    return encode_rows(lesson("x", "Below.")[0], base.tokenizer, 128)[0]


@pytest.mark.parametrize(
    ("free", "want"),
    [
        pytest.param(10_000, TokenBudget(1000), id="all fits"),
        pytest.param(2_000, TokenBudget(200), id="the longest row just fits: smaller passes, and no checkpointing"),
        pytest.param(1_990, TokenBudget(995, checkpointing=True), id="it does not"),
        pytest.param(0, TokenBudget(0, checkpointing=True), id="nothing does"),
    ],
)
def test_the_budget_there_is(free: float, want: TokenBudget) -> None:
    assert token_budget(free, kept=10, kept_checkpointed=2, longest=200) == want


@pytest.mark.parametrize(
    ("file", "said", "want"),
    [
        pytest.param("memory.max", "100000000\n", 1e8, id="version 2"),
        pytest.param("memory/memory.limit_in_bytes", "100000000\n", 1e8, id="version 1"),
        pytest.param("memory.max", "max\n", None, id="version 2, none"),
        pytest.param("memory/memory.limit_in_bytes", "9223372036854771712\n", None, id="version 1, none"),
        pytest.param("other", "", None, id="no groups at all"),
    ],
)
def test_the_memory_that_a_pod_may_use(file: str, said: str, want: float | None, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(said)
    nothing_said = allowed_memory(tmp_path / "nowhere")
    assert nothing_said > 2**27
    assert allowed_memory(tmp_path) == (want or nothing_said)


def test_what_a_token_keeps_is_what_the_layers_width_says(base: Base) -> None:
    """A layer of Llama keeps about ten tensors of its width and five of its inner width, more or less."""
    adapter = random_adapter(base, 1)
    for tensor in adapter.tensors.values():
        tensor.requires_grad_()
    with installed(base, {"x": adapter}) as active, reading(base.model, base.capabilities):
        kept = kept_by_token(base, active, "x", adapter)
    shape = base.model.config
    least = shape.num_hidden_layers * (6 * shape.hidden_size + 3 * shape.intermediate_size) * 4
    assert least < kept < 4 * least


@pytest.mark.parametrize(
    ("shared", "own"),
    [pytest.param(0, 400, id="rows of their own"), pytest.param(400, 20, id="short rows behind a long beginning")],
)
def test_a_pass_holds_what_was_estimated(shared: int, own: int, tmp_path: Path) -> None:
    """Few words in the vocabulary, so that the chunk of logits, which is of one size, does not count."""
    folder = make_tiny_model(tmp_path / "tiny")
    base = load_base(folder, job(folder, tmp_path, dataset(tmp_path / "data", lesson("x", "Below."))), "", choose("Float32"))
    adapter = random_adapter(base, 1)
    for tensor in adapter.tensors.values():
        tensor.requires_grad_().grad = torch.zeros_like(tensor)
    texts = ((*range(shared), *range(n, n + own)) for n in range(20))
    rows = [Encoded("", tuple(token % 250 for token in text), shared + own - 2) for text in texts]
    packer = Packer(10_000, base.placement.device)
    (pack,) = packer.packs([AdapterTree("x", tree) for tree in packer.trees(rows)])
    with installed(base, {"x": adapter}) as active, reading(base.model, base.capabilities):
        estimated = pack.tokens.numel() * kept_by_token(base, active, "x", adapter)
        active.assign(pack.parts)
        held = most_held(lambda: accumulate_gradients(base, pack, {"x": tuple(rows)}))
    assert 0.7 * estimated < held < estimated / USED


def most_held(work: Callable[[], object]) -> int:
    """Bytes of tensors at a time."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        work()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))


def test_with_checkpointing_the_gradients_are_the_same_bits_and_less_is_kept(base: Base, rows: list[Encoded]) -> None:
    adapter, sizes = random_adapter(base, 1), []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.nbytes)
        return tensor

    def gradients(wanted: bool) -> tuple[dict[str, torch.Tensor], int]:
        sizes.clear()
        with recomputed(base.model, wanted=wanted), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            return own_gradients(base, {"x": adapter}, {"x": rows})[1]["x"], len(sizes)

    (plain, all_kept), (again, few_kept) = gradients(False), gradients(True)
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    assert few_kept < all_kept / 4
    assert not any("forward" in vars(layer) for layer in layers_of(base.model))


@pytest.mark.parametrize(("free", "wanted"), [(1e12, False), (1e5, True)])
def test_checkpointing_is_for_rows_that_do_not_fit_and_the_log_says_so(
    free: float, wanted: bool, base: Base, rows: list[Encoded], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(together, "free_memory", lambda *_: free)
    with caplog.at_level("INFO", "tuneloop"):
        trained = train_together(base, [Unit("x", rows, 0)], LORA, SETTINGS, lambda step: None)
    assert trained["x"].tensors
    assert ("with gradient checkpointing, since a row of" in caplog.text) is wanted
