"""Gradients, ours and plain PEFT's, for tests that they are the same."""

from collections.abc import Mapping, Sequence

import pytest
import torch
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

from tuneloop_contracts.jobs import Lora
from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.forward import reading
from tuneloop_trainer.learn.lora.adapter import Adapter, fresh
from tuneloop_trainer.learn.lora.installed import installed
from tuneloop_trainer.learn.packs.pack import AdapterTree, Packer
from tuneloop_trainer.learn.together import accumulate_gradients

LORA = Lora(rank=4)


def random_adapter(base: Base, seed: int, lora: Lora = LORA) -> Adapter:
    """None of whose matrices is zero, so that each has a gradient."""
    begun = fresh(base, lora, seed)
    generator = torch.Generator().manual_seed(seed)
    drawn = {name: 0.1 * torch.randn(tensor.shape, generator=generator) for name, tensor in begun.tensors.items()}
    return Adapter(begun.config, {name: tensor.to(base.model.dtype) for name, tensor in drawn.items()})


def peft_gradients(base: Base, adapter: Adapter, rows: Sequence[Encoded]) -> tuple[float, dict[str, torch.Tensor]]:
    """Of plain PEFT, row after row, every position's logits: loss (weighted nats per supervised token) and gradients by PEFT's names."""
    with pytest.warns(FutureWarning):
        model = get_peft_model(base.model, LoraConfig(**{**adapter.config.to_dict(), "lora_dropout": 0.0}), autocast_adapter_dtype=False)
    set_peft_model_state_dict(model, dict(adapter.tensors))
    model.to(base.model.dtype)
    supervised, total = sum(one.supervised for one in rows), 0.0
    for one in rows:
        logits = model(input_ids=torch.tensor([one.tokens])).logits[0, one.answer - 1 : -1]
        nats = torch.nn.functional.cross_entropy(logits, torch.tensor(one.tokens[one.answer :]), reduction="sum")
        loss = nats * one.weight / supervised
        loss.backward()
        total += loss.item()
    gradients = {name.replace(".default.", "."): p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.unload()
    return total, gradients


def own_gradients(
    base: Base, adapters: dict[str, Adapter], steps: dict[str, Sequence[Encoded]], limit: int = 1024
) -> tuple[dict[str, float], dict[str, dict[str, torch.Tensor]]]:
    """Of all adapters in the same passes."""
    learning = {
        name: Adapter(adapter.config, {key: tensor.clone().requires_grad_() for key, tensor in adapter.tensors.items()})
        for name, adapter in adapters.items()
    }
    packer = Packer(limit, base.placement.device, base.capabilities.forests)
    losses = dict.fromkeys(adapters, 0.0)
    with installed(base, learning) as active, reading(base.model, base.capabilities):
        shares = [AdapterTree(name, tree) for name, rows in steps.items() for tree in packer.trees(rows)]
        for pack in packer.packs(shares):
            active.assign(pack.parts)
            for name, loss in accumulate_gradients(base, pack, {name: tuple(rows) for name, rows in steps.items()}).items():
                losses[name] += loss
    return losses, {name: _gradients(adapter.tensors) for name, adapter in learning.items()}


def _gradients(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.grad for name, tensor in tensors.items() if tensor.grad is not None}


def close(found: dict[str, torch.Tensor], want: dict[str, torch.Tensor], relative: float) -> None:
    assert found.keys() == want.keys()
    for name, tensor in want.items():
        assert (found[name] - tensor).norm() <= relative * tensor.norm(), name
