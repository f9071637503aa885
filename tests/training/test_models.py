"""Models of other kinds, tiny and random: whatever way is found for one, its gradients are those of plain PEFT, row by row."""

from typing import Any

import pytest
import torch
from torch.nn.attention.bias import causal_lower_right
from transformers import AutoConfig, AutoModelForCausalLM

from training.exactness import close, own_gradients, peft_gradients, random_adapter
from tuneloop_contracts.jobs import Lora
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.forward import ModelCapabilities, probe_capabilities
from tuneloop_trainer.learn.lora.adapter import fresh
from tuneloop_trainer.learn.packs.attention import Forest
from tuneloop_trainer.learn.precision import choose

SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128, "initializer_range": 0.2,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2, "experts_implementation": "eager"}
"""Whose faster ways of computing know no double precision."""
OLD: dict[str, Any] = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.2, "eos_token_id": 2}
PACKED, PADDED, OWN_HEAD = ModelCapabilities(), ModelCapabilities(forests=False), ModelCapabilities(forests=False, plain_head=False)


def tiny(kind: str, **shape: Any) -> Base:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **shape)).eval().requires_grad_(False)
    if kind != "gemma2":  # whose own attention computes in single precision, and masks in double are infinite there
        model.double()
    placement = choose("Float32")
    return Base(kind, "", model, None, placement, probe_capabilities(model, placement.device))  # type: ignore[arg-type]


def rows() -> list[Encoded]:
    """Longer than a sliding window; several begin alike."""
    start = tuple(3 + n % 50 for n in range(30))
    tails = ((5, 6, 7, 8), (9, 8, 7), (5, 6, 9, 9, 9, 9, 9, 9, 9, 9, 9, 4))
    return [Encoded(str(n), (*start, *tail), 25 + 2 * n) for n, tail in enumerate(tails)] + [Encoded("other", (7, 8, 9, 10), 2)]


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to:UserWarning")  # plain PEFT's own, of GPT-2's layers
@pytest.mark.parametrize(
    ("kind", "shape", "want"),
    [
        pytest.param("llama", SMALL, PACKED, id="Llama"),
        pytest.param("qwen2", SMALL, PACKED, id="Qwen2, biases"),
        pytest.param("qwen3", SMALL, PACKED, id="Qwen3, normed heads"),
        pytest.param("mistral", SMALL | {"sliding_window": 9}, PACKED, id="Mistral, a sliding window"),
        pytest.param("gemma3_text", SMALL | {"sliding_window": 9}, PACKED, id="Gemma 3, windows in some layers"),
        pytest.param("gemma2", SMALL | {"sliding_window": 9}, OWN_HEAD, id="Gemma 2, capped scores and logits"),
        pytest.param("mixtral", SMALL | EXPERTS, PACKED, id="Mixtral, experts that stay as they are"),
        pytest.param("gpt2", OLD, PACKED, id="GPT-2, transposed layers, learned positions"),
        pytest.param("bloom", {**OLD, "hidden_size": 32}, PADDED, id="Bloom, biases by distance"),
    ],
)
def test_gradients_are_exact_whatever_the_model(kind: str, shape: dict[str, Any], want: ModelCapabilities) -> None:
    base = tiny(kind, **shape)
    assert base.capabilities == want
    adapter = random_adapter(base, 1)
    loss, gradients = peft_gradients(base, adapter, rows())
    losses, found = own_gradients(base, {"x": adapter}, {"x": rows()})
    assert losses["x"] == pytest.approx(loss, rel=1e-6)
    close(found["x"], gradients, 1e-5)


def test_layers_that_a_mixture_of_experts_has_not_are_named_with_those_it_has() -> None:
    base = tiny("mixtral", **SMALL, **EXPERTS)
    assert {name.split(".")[-3] for name in random_adapter(base, 1).tensors} == {"q_proj", "k_proj", "v_proj", "o_proj"}
    for fused in ("gate_up_proj", "gate", "w1"):
        with pytest.raises(NeedsEdit, match=rf"lora.targetModules {fused}: .* use k_proj, o_proj, q_proj, v_proj"):
            fresh(base, Lora(target_modules=("q_proj", fused)), 0)


def test_the_mask_that_flash_attention_knows_is_ours() -> None:
    device = torch.device("cpu")
    mask = Forest((4, 3), ((0,), (0, 1))).mask(1, None, device)
    assert mask is not None
    assert torch.equal(causal_lower_right(3, 7)._materialize(device), mask)
