"""A pack through the base: the nats of its supervised tokens.

Models differ in how they attend and in what they do to their logits. What cannot be taken for granted is tried once, on a few
tokens, when the model is loaded: where it does not give the model's own numbers, the model's own way is taken.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from transformers import PreTrainedModel

from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.loss import token_nats
from tuneloop_trainer.learn.packs.attention import attend, forest_attention
from tuneloop_trainer.learn.packs.pack import AdapterTree, Pack, Packer

log = logging.getLogger("tuneloop")

PACKED_LAYERS = {"full_attention", "sliding_attention"}
"""Kinds of layers, by transformers' `layer_types`, whose attention a forest describes in full."""


@dataclass(frozen=True)
class ModelCapabilities:
    """What a model lets us do."""

    forests: bool = True
    """It attends as it is told, so that rows can be packed and share their beginnings."""
    plain_head: bool = True
    """Its logits are its last hidden states times a matrix, so that they need not be held."""


@contextmanager
def reading(model: PreTrainedModel, capabilities: ModelCapabilities) -> Iterator[None]:
    """While packs go through the model, forward and backward."""
    with forest_attention(model) if capabilities.forests else nullcontext():
        yield


def nats(model: PreTrainedModel, capabilities: ModelCapabilities, pack: Pack) -> torch.Tensor:
    """Of each supervised token of the pack, in its order; in float32 or better."""
    inputs: dict[str, Any] = {"input_ids": pack.tokens, "use_cache": False}
    if capabilities.forests:
        attend(pack.forest)
        inputs["position_ids"] = pack.positions
    else:
        inputs["attention_mask"] = pack.mask
    head = _head(model)
    if capabilities.plain_head and type(head) is torch.nn.Linear:
        return token_nats(_before_head(model, head, inputs, pack.predicting), head.weight, head.bias, pack.targets)
    with _only_at(head, pack.predicting):
        logits = model(**inputs).logits
    return _cross_entropy(logits[0], pack.targets)


def probe_capabilities(model: PreTrainedModel, device: torch.device) -> ModelCapabilities:
    """By trying. Two rows that share a beginning must have the losses that the model's own logits give."""
    rows = [Encoded("", (*range(20), *tail), 1) for tail in ((21, 22, 23, 24), (31, 32, 33))]
    usual = torch.cat([_own_nats(model, row, device) for row in rows])
    if _known_layers(model) and _agrees(model, rows, ModelCapabilities(), device, usual):
        return ModelCapabilities()
    head = _agrees(model, rows, ModelCapabilities(forests=False, plain_head=True), device, usual)
    forests = _known_layers(model) and _agrees(model, rows, ModelCapabilities(forests=True, plain_head=head), device, usual)
    log.info("train: rows are %s; logits are %s", "packed" if forests else "padded", "chunked" if head else "the model's own")
    return ModelCapabilities(forests, head)


def _agrees(
    model: PreTrainedModel, rows: list[Encoded], capabilities: ModelCapabilities, device: torch.device, usual: torch.Tensor
) -> bool:
    packer = Packer(1024, device, sharing=capabilities.forests)
    try:
        with torch.no_grad(), reading(model, capabilities):
            (pack,) = packer.packs([AdapterTree(None, tree) for tree in packer.trees(rows)])
            found = nats(model, capabilities, pack)
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError):  # it was asked for what it does not know
        return False
    close = 3e-2 if model.dtype.itemsize < torch.float32.itemsize else 1e-4
    return torch.allclose(found, usual, rtol=close, atol=close)


@torch.no_grad()
def _own_nats(model: PreTrainedModel, row: Encoded, device: torch.device) -> torch.Tensor:
    tokens = torch.tensor([row.tokens], device=device)
    logits = model(input_ids=tokens, use_cache=False).logits[0, row.answer - 1 : -1]
    return _cross_entropy(logits, tokens[0, row.answer :])


def _cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return torch.nn.functional.cross_entropy(precise, targets, reduction="none")


def _known_layers(model: PreTrainedModel) -> bool:
    return set(getattr(model.config, "layer_types", None) or PACKED_LAYERS) <= PACKED_LAYERS


def _before_head(model: PreTrainedModel, head: torch.nn.Module, inputs: dict[str, Any], positions: torch.Tensor) -> torch.Tensor:
    """[positions, width]: what the head would see. It is given nothing to do."""
    seen: list[torch.Tensor] = []

    def take(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        seen.append(given[0].flatten(0, 1)[positions])
        return (given[0][:, :0], *given[1:])

    with _before(head, take):
        model(**inputs)
    return seen[0]


@contextmanager
def _only_at(head: torch.nn.Module, positions: torch.Tensor) -> Iterator[None]:
    """`head` sees hidden states of [1, chosen positions, hidden] instead of [rows, length, hidden]; so the model's own forward pass
    stays whole, soft caps and scales after it included."""
    with _before(head, lambda _, given: (given[0].flatten(0, 1)[positions].unsqueeze(0), *given[1:])):
        yield


@contextmanager
def _before(head: torch.nn.Module, hook: Any) -> Iterator[None]:
    handle = head.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _head(model: PreTrainedModel) -> torch.nn.Module:
    return cast(torch.nn.Module, cast(Any, model).get_output_embeddings())
