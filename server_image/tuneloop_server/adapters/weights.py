"""A safetensors file, read by hand: no tensor is made before all of this holds. Pure.

8 bytes  length N of the header, little endian
N bytes  JSON: {"name": {"dtype": "F32", "shape": [16, 576], "data_offsets": [begin, end]}, ..., "__metadata__": {...}}
the rest the tensors, end to end, without gaps
"""

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuneloop_contracts.pods import LoadFault
from tuneloop_server.adapters.rejection import AdapterRejected
from tuneloop_server.background import Throttle

_MAX_HEADER = 100_000_000
"""The format's own limit."""
_FORMATS = {"F32": ("<u4", 0x7F800000), "F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80)}
"""How the bits are read, and those of the exponent: all ones means NaN or infinite (IEEE 754)."""


@dataclass(frozen=True)
class Tensor:
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int
    """Offsets into the whole file."""


def read_header(content: bytes) -> tuple[Tensor, ...]:
    """Raises AdapterRejected (CORRUPT_WEIGHTS) unless the header is whole and describes the rest of the file exactly."""
    if len(content) < 8:
        raise _corrupt("the file is too short for a safetensors header")
    (size,) = struct.unpack_from("<Q", content)
    if size > min(_MAX_HEADER, len(content) - 8):
        raise _corrupt("the header is longer than the file")
    try:
        header = json.loads(content[8 : 8 + size])
        tensors = tuple(_tensor(name, entry, 8 + size) for name, entry in header.items() if name != "__metadata__")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _corrupt("the safetensors header cannot be read") from error
    _check_layout(tensors, 8 + size, len(content))
    return tensors


def check_finite(content: bytes, tensors: tuple[Tensor, ...], throttle: Throttle) -> None:
    """Raises AdapterRejected (CORRUPT_WEIGHTS) naming the first tensor with a NaN or an infinity."""
    for tensor in tensors:
        kind, exponent = _FORMATS[tensor.dtype]
        # copied, since nothing aligns a tensor within the file
        bits = np.frombuffer(content[tensor.begin : tensor.end], dtype=kind)
        if bool(((bits & exponent) == exponent).any()):
            raise _corrupt(f"{tensor.name} holds NaN or infinite values")
        throttle()


def _tensor(name: str, entry: dict[str, Any], start: int) -> Tensor:
    begin, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if not all(type(number) is int and number >= 0 for number in (begin, end, *shape)):
        raise ValueError("offsets and shapes are natural numbers")
    return Tensor(name, str(entry["dtype"]), shape, start + begin, start + end)


def _check_layout(tensors: tuple[Tensor, ...], start: int, size: int) -> None:
    at = start
    for tensor in sorted(tensors, key=lambda one: one.begin):
        if tensor.dtype not in _FORMATS:
            raise _corrupt(f"{tensor.name} is {tensor.dtype[:20]}; F32, F16 and BF16 are served")
        width = np.dtype(_FORMATS[tensor.dtype][0]).itemsize
        if tensor.begin != at or tensor.end - tensor.begin != math.prod(tensor.shape) * width:
            raise _corrupt(f"the offsets of {tensor.name} do not fit its shape or its neighbours")
        at = tensor.end
    if at != size:
        raise _corrupt(f"the header describes {at - start} bytes of tensors, the file has {size - start}")


def _corrupt(message: str) -> AdapterRejected:
    return AdapterRejected(LoadFault.CORRUPT_WEIGHTS, message)
