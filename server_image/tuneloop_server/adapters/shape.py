"""Do the tensors of an adapter fit the layers of the base? Pure."""

from collections.abc import Mapping

from tuneloop_contracts.pods import LoadFault
from tuneloop_server.adapters.rejection import AdapterRejected
from tuneloop_server.adapters.weights import Tensor

_PREFIX = "base_model.model."
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"


def check_shapes(tensors: tuple[Tensor, ...], rank: int, linears: Mapping[str, tuple[int, int]]) -> None:
    """Each adapted layer exists in the base and has both of its matrices, of the configured rank.

    Raises AdapterRejected: UNSUPPORTED_CONFIG for a layer or kind of tensor that we do not have, CORRUPT_WEIGHTS for shapes.
    """
    layers: dict[str, set[str]] = {}
    for tensor in tensors:
        layer, kind = _split(tensor.name)
        if layer not in linears:
            raise AdapterRejected(LoadFault.UNSUPPORTED_CONFIG, f"the base has no linear layer {layer[:120]}")
        out, into = linears[layer]
        if tensor.shape != ((rank, into) if kind == _DOWN else (out, rank)):
            raise AdapterRejected(
                LoadFault.CORRUPT_WEIGHTS, f"{tensor.name} has shape {tensor.shape}, which fits neither rank {rank} nor the base"
            )
        layers.setdefault(layer, set()).add(kind)
    if not layers:
        raise AdapterRejected(LoadFault.CORRUPT_WEIGHTS, "there are no tensors in it")
    if lonely := next((layer for layer, kinds in layers.items() if len(kinds) < 2), None):
        raise AdapterRejected(LoadFault.CORRUPT_WEIGHTS, f"{lonely} has only one of its two matrices")


def _split(name: str) -> tuple[str, str]:
    for kind in (_DOWN, _UP):
        if name.startswith(_PREFIX) and name.endswith(kind):
            return name.removeprefix(_PREFIX).removesuffix(kind), kind
    raise AdapterRejected(LoadFault.UNSUPPORTED_CONFIG, f"{name[:120]} is not a LoRA matrix of a linear layer")
