"""What can be known of a base model without loading it."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open

_WEIGHT = ".weight"


def linears(folder: Path) -> Mapping[str, tuple[int, int]]:
    """(out, in) features of each linear layer that an adapter may change, by module path, from the headers of the safetensors files.

    A matrix with a row for each word of the vocabulary is an embedding or the head, which vLLM serves no adapters of. Layers that are
    stored packed, as some quantised models have them, are not known, and adapters of them are refused.
    Raises FileNotFoundError or ValueError when config.json is missing or broken.
    """
    vocabulary = json.loads((folder / "config.json").read_text()).get("vocab_size")
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name, shape in _shapes(file).items():
            if name.endswith(_WEIGHT) and len(shape) == 2 and shape[0] != vocabulary:
                found[name.removesuffix(_WEIGHT)] = (shape[0], shape[1])
    return found


def _shapes(file: Path) -> Mapping[str, tuple[int, ...]]:
    with safe_open(file, framework="numpy") as content:
        return {name: tuple(content.get_slice(name).get_shape()) for name in content.keys()}  # noqa: SIM118 - not a mapping
