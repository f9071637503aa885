"""How many tokens one pass may have: what a token keeps for the backward pass, and the memory there is.

What a token keeps is counted, not guessed: models differ by more than their sizes. The memory is what the pod is allowed, not what is
free at the moment, so that a job is cut into the same passes whenever it runs on such a machine.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.forward import nats
from tuneloop_trainer.learn.lora.adapter import Adapter
from tuneloop_trainer.learn.lora.installed import ActiveAdapters
from tuneloop_trainer.learn.packs.pack import AdapterTree, Pack, Packer
from tuneloop_trainer.learn.recompute import layers_of
from tuneloop_trainer.learn.threads import CGROUPS

log = logging.getLogger("tuneloop")

TRIED = 61
"""Tokens of the pass that is tried. A prime: torch.compile takes sizes that are equal there for equal everywhere."""
FIXED = 2**30
"""Bytes: the interpreter, torch, the rows, a chunk of logits."""
TRAINED = 4
"""Times the bytes of the adapters: they, their gradients and AdamW's two moments."""
USED = 0.6
"""Of what is left beside FIXED and all weights. The rest is for what malloc keeps back, and for an estimate's error: passes of SmolLM2
held 1.02 to 1.05 times what was estimated at their most."""


@dataclass(frozen=True)
class TokenBudget:
    tokens: int
    """Most of a pass. A single row that is longer is tried all the same."""
    checkpointing: bool = False
    """See `recompute`."""


def token_budget(free: float, kept: float, kept_checkpointed: float, longest: int) -> TokenBudget:
    """`free` bytes; bytes that a token keeps, and would keep with checkpointing; tokens of the longest row. Pure.

    Checkpointing costs a third of the speed, and smaller passes cost next to nothing: so it is only for a row that fits in no pass.
    """
    fits = int(free / kept)
    return TokenBudget(fits) if fits >= longest else TokenBudget(max(int(free / kept_checkpointed), 0), checkpointing=True)


def find_token_budget(base: Base, active: ActiveAdapters, name: str, adapter: Adapter, longest: int, free: float) -> TokenBudget:
    """By trying one pass of one of the adapters."""
    kept, layers = kept_by_token(base, active, name, adapter), layers_of(base.model)
    width = _embedding(base).shape[1] * base.model.dtype.itemsize
    found = token_budget(free, kept, len(layers) * width + kept / max(1, len(layers)), longest)
    gb, mb = free / 1e9, kept / 1e6
    log.info("train: passes of up to %d tokens, in %.1f GB at %.2f MB each", found.tokens, gb, mb)
    if found.checkpointing:
        log.info("train: with gradient checkpointing, since a row of %d tokens does not fit", longest)
    return found


def kept_by_token(base: Base, active: ActiveAdapters, name: str, adapter: Adapter) -> float:
    """Bytes, beside the weights: an adapter's too, which are there once however many tokens there are."""
    pack = trial(base, name)
    there = (*base.model.parameters(), *base.model.buffers(), *adapter.tensors.values())
    weights = {tensor.untyped_storage().data_ptr() for tensor in there}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage
        return tensor

    active.assign(pack.parts)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        nats(base.model, base.capabilities, pack)
    return sum(storage.nbytes() for storage in kept.values()) / TRIED


def trial(base: Base, adapter: str) -> Pack:
    """One row of TRIED tokens, always the same."""
    row = Encoded("", tuple(n % len(_embedding(base)) for n in range(TRIED)), TRIED - 1)
    packer = Packer(TRIED, base.placement.device, base.capabilities.forests)
    (pack,) = packer.packs([AdapterTree(adapter, tree) for tree in packer.trees([row])])
    return pack


def _embedding(base: Base) -> torch.Tensor:
    """[vocabulary, width]"""
    return cast(torch.Tensor, base.model.get_input_embeddings().weight)


def free_memory(base: Base, adapters: float) -> float:
    """Bytes for the passes of one process that trains so many bytes of adapters."""
    weights = sum(tensor.nbytes for tensor in base.model.parameters()) + TRAINED * adapters
    if base.placement.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(base.placement.device)
        return USED * (free + torch.cuda.memory_reserved() - weights)
    return USED * max(0, allowed_memory(CGROUPS) - FIXED - weights)


def allowed_memory(cgroups: Path) -> float:
    """Of the pod, in bytes, by version 2 or version 1 of the kernel's groups. Without a limit the node's memory is others' too: half."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            said = (cgroups / file).read_text().strip()
        except OSError:
            continue
        if said.isdigit() and int(said) < physical:
            return int(said)
    return physical / 2
