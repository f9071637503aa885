"""Device and number format, by capability."""

from dataclasses import dataclass

import torch

from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.errors import NeedsEdit


@dataclass(frozen=True)
class Placement:
    device: torch.device
    dtype: torch.dtype
    why: str
    tokens_per_batch: int
    """Of one forward pass: a step of more is summed over several. Twice as many are no faster on a CPU."""


def choose(precision: str) -> Placement:
    """`Auto` takes bfloat16 only where the hardware multiplies it: on a CPU without, it is tens to hundreds of times slower.

    Raises NeedsEdit for a BFloat16 that a GPU does not have.
    """
    if torch.cuda.is_available():
        return _on_gpu(precision)
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    dtype = {"Float32": torch.float32, "BFloat16": torch.bfloat16}.get(precision, torch.bfloat16 if native else torch.float32)
    why = "asked for" if precision != "Auto" else f"this CPU {'has' if native else 'has no'} bfloat16 units"
    return Placement(torch.device("cpu"), dtype, why, tokens_per_batch=1024)


def _on_gpu(precision: str) -> Placement:
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "BFloat16" and not native:
        raise NeedsEdit(FaultReason.UNSUPPORTED_MODEL, "training.precision BFloat16: this GPU has none; use Auto or Float32")
    dtype = torch.bfloat16 if native and precision != "Float32" else torch.float32
    why = "asked for" if precision != "Auto" else f"this GPU {'has' if native else 'has no'} bfloat16 units"
    return Placement(torch.device("cuda"), dtype, why, tokens_per_batch=8192)
