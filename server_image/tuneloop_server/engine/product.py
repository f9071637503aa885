"""Rows times a base weight, by the fastest way that this processor has for it."""

from collections.abc import Callable

import torch
from torch import nn

Product = Callable[[torch.Tensor], torch.Tensor]
"""[rows, in] -> [rows, out]"""
PACKED_FROM = 1 << 22
"""Numbers in a weight from which it is packed. Measured in float32 with AVX-512, against nn.functional.linear: weights of 4 to 50 million
took 1.0 to 1.1 times as long for 1 to 3 rows, and then half as long or less for 4 to 16, two thirds for 64 to 256; those of a million
1.3 times as long for few rows, and 0.9 for many. Were all of a model of 135 million packed, a step would take
1.3 times as long for one row, 0.85 for eight. With AVX2, 1.1 to 1.4 times as long as columns, but for a head of 50,000 tokens: half."""


def product(linear: nn.Linear) -> Product:
    weight, bias = linear.weight, linear.bias
    if is_packed(weight):
        return _packed(weight, bias)
    if columns_are_faster(weight):
        return _of_columns(weight, bias)
    return lambda x: nn.functional.linear(x, weight, bias)


def is_packed(weight: torch.Tensor) -> bool:
    """Whether oneDNN should lay it out once, where MKL does so at every call: as PyTorch's own compiler does for layers of any batch."""
    here = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")  # type: ignore[no-untyped-call]
    return here and _in_float32_with("AVX512", weight) and weight.numel() >= PACKED_FROM


def columns_are_faster(weight: torch.Tensor) -> bool:
    """Whether to ask MKL for weight times columns instead of rows times weight, which is what nn.functional.linear asks for.

    Measured in float32 at 1 to 128 rows. On AVX2 columns are up to twice as fast for a few rows, and never slower. With AVX-512 they
    take 2.3 times as long for 2 rows, 1.4 times for 4, as long for 8 to 32, 1.2 times for more.
    """
    return _in_float32_with("AVX2", weight)


def _in_float32_with(capability: str, weight: torch.Tensor) -> bool:
    here = weight.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == capability
    return here and weight.dtype is torch.float32


def _packed(weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
    """Keeps a copy, and of the weight nothing."""
    laid_out = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), _ROWS)

    def times(x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, laid_out, bias, "none", [], "")
        return y

    return times


_ROWS = 64
"""For which oneDNN chooses the layout; it serves any number. The one that it chooses for a single row is slower for all."""


def _of_columns(weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
    def times(x: torch.Tensor) -> torch.Tensor:
        y = torch.mm(weight, x.t()).t().contiguous()
        return y if bias is None else y.add_(bias)

    return times
