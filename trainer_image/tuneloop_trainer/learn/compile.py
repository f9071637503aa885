"""`torch.compile` of the base's layers while adapters train, by capability.

What packs differ in runs as it is: attention over a forest, each adapter's own tokens, the loss. What is between them (norms, rotations,
gates, sums) becomes kernels for any number of tokens. They are made from one pass, which is always the same, and none is made later: what
they do not fit runs without them. So a pack gives the same bits whichever packs came before it, in this pod or in another.
"""

import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch

from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.forward import nats
from tuneloop_trainer.learn.lora.adapter import Adapter
from tuneloop_trainer.learn.lora.installed import ActiveAdapters
from tuneloop_trainer.learn.recompute import layers_of
from tuneloop_trainer.learn.token_budget import trial

log = logging.getLogger("tuneloop")

LEAST_CAPABILITY = (7, 0)
"""Of a GPU that triton makes kernels for."""
COMPILERS = ("gcc", "clang")
"""Triton needs one of them, where CC names none."""
CLOSE, CLOSE_SINGLE = 5e-2, 1e-4
"""By how much gradients may differ, of their norm: in bfloat16, and in more. Kernels round less often."""
HOW: dict[str, Any] = {"backend": "inductor", "options": {"deterministic": True}}
"""Without the option it takes, of kernels that sum in different orders, the one that was fastest just now."""


@dataclass(frozen=True)
class Machine:
    """What decides, of the machine."""

    capability: tuple[int, int] | None
    """Of its GPU, if it has one."""
    triton: bool
    compiler: bool
    """Of C."""

    @classmethod
    def here(cls) -> "Machine":
        return cls(
            capability=torch.cuda.get_device_capability() if torch.cuda.is_available() else None,
            triton=find_spec("triton") is not None,
            compiler=bool(os.environ.get("CC") or any(map(shutil.which, COMPILERS))),
        )


def obstacle(machine: Machine, *, packed: bool, checkpointing: bool) -> str:
    """Why nothing is compiled; "" where nothing speaks against it. Pure."""
    if machine.capability is None:  # there SmolLM2-135M took 2 to 6 % longer with it, in float32 and packs of 400 to 1,000 tokens
        return "on a CPU it does not pay"
    if machine.capability < LEAST_CAPABILITY:
        return "triton makes no kernels for so old a GPU"
    if not machine.triton or not machine.compiler:
        return f"this image has no {'C compiler' if machine.triton else 'triton'}"
    if checkpointing:
        return "with gradient checkpointing it was never tried"
    return "" if packed else "rows are padded, each pass to its own shape"


@contextmanager
def compiled(base: Base, active: ActiveAdapters, name: str, adapter: Adapter, against: str) -> Iterator[None]:
    """While inside, the layers run compiled: where nothing is `against` it, and a pass of `adapter` then gives what it gives without."""
    against = against or _try(base, active, name, adapter)
    log.info("train: layers are %s", f"not compiled: {against}" if against else "compiled")
    try:
        with torch.compiler.set_stance("eager_on_recompile"):
            yield
    finally:
        _undo(base)


def _try(base: Base, active: ActiveAdapters, name: str, adapter: Adapter) -> str:
    """Leaves the layers compiled, or as they were and gives the reason."""
    want = _gradients(base, active, name, adapter)
    for layer in layers_of(base.model):
        layer.forward = torch.compile(layer.forward, dynamic=True, **HOW)
    try:
        with warnings.catch_warnings():
            # torch asks of each tensor between two pieces for a gradient that none of them has, and users would read about it
            warnings.filterwarnings("ignore", message=r"The \.grad attribute of a Tensor that is not a leaf", category=UserWarning)
            found = _gradients(base, active, name, adapter)
    except Exception as error:  # compilers fail in many ways, and the layers run without one
        why = f"the compiler failed ({type(error).__name__})"
    else:
        close = CLOSE if base.model.dtype.itemsize < torch.float32.itemsize else CLOSE_SINGLE
        why = "" if (found - want).norm() <= close * want.norm() else "compiled they give other gradients"
    if why:
        _undo(base)
    return why


def _undo(base: Base) -> None:
    for layer in layers_of(base.model):
        vars(layer).pop("forward", None)


def _gradients(base: Base, active: ActiveAdapters, name: str, adapter: Adapter) -> torch.Tensor:
    """Flat, of one pass; nothing is added to those that are there."""
    pack = trial(base, name)
    active.assign(pack.parts)
    loss = nats(base.model, base.capabilities, pack).mean()
    return torch.cat([gradient.flatten() for gradient in torch.autograd.grad(loss, list(adapter.tensors.values()))])
