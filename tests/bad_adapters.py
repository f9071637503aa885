"""Every kind of adapter that must not be loaded: how to spoil a good one, and what is said of it."""

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from builders_adapters import digest_of_base, edit_json, edit_weights, make_adapter
from tuneloop_contracts.adapters import CONFIG_FILE, PROVENANCE_FILE, WEIGHTS_FILE, adapter_digest
from tuneloop_contracts.pods import LoadFault


@dataclass(frozen=True)
class Bad:
    name: str
    fault: LoadFault
    spoil: Callable[[Path], None]
    digest: Callable[[Path, str], str] = lambda folder, _: adapter_digest(folder)
    """Of (folder, digest before it was spoiled): most bad adapters are published with a right digest."""

    def make(self, folder: Path) -> str:
        """Write it; returns the digest that the manifest names."""
        before = make_adapter(folder, digest_of_base(), "support", seed=1)
        self.spoil(folder)
        return self.digest(folder, before)


def _before(_: Path, before: str) -> str:
    return before


def _config(**changes: object) -> Callable[[Path], None]:
    return lambda folder: edit_json(folder / CONFIG_FILE, **changes)


def _tensor(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    """Change the first tensor only."""

    def spoil(folder: Path) -> None:
        edit_weights(folder, lambda tensors: tensors | {min(tensors): change(tensors[min(tensors)])})

    return spoil


def _fill(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def fill(tensor: torch.Tensor) -> torch.Tensor:
        tensor[0, 0] = value
        return tensor

    return fill


def _file(name: str, content: bytes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return spoil


def _cut(folder: Path) -> None:
    file = folder / WEIGHTS_FILE
    file.write_bytes(file.read_bytes()[:-100])


def _header(change: Callable[[dict[str, dict[str, object]]], None]) -> Callable[[Path], None]:
    """Rewrite the safetensors header, keeping the tensors."""

    def spoil(folder: Path) -> None:
        content = (folder / WEIGHTS_FILE).read_bytes()
        (size,) = struct.unpack_from("<Q", content)
        header = json.loads(content[8 : 8 + size])
        change(header)
        text = json.dumps(header).encode()
        (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])

    return spoil


def _overlap(header: dict[str, dict[str, object]]) -> None:
    first, second = [name for name in header if name != "__metadata__"][:2]
    header[second]["data_offsets"] = header[first]["data_offsets"]
    header[second]["shape"] = header[first]["shape"]


def _huge_shape(header: dict[str, dict[str, object]]) -> None:
    header[next(name for name in header if name != "__metadata__")]["shape"] = [4, 10**12]


def _renamed(folder: Path) -> None:
    edit_weights(folder, lambda tensors: {name.replace("layers.29.", "layers.30."): tensor for name, tensor in tensors.items()})


def _lonely(folder: Path) -> None:
    edit_weights(folder, lambda tensors: {name: tensor for name, tensor in tensors.items() if name != max(tensors)})


def _link_out(folder: Path) -> None:
    (folder / "notes.txt").symlink_to("/etc/hostname")


def _linked_weights(folder: Path) -> None:
    outside = folder.parent / f"{folder.name}-elsewhere.safetensors"
    os.replace(folder / WEIGHTS_FILE, outside)
    (folder / WEIGHTS_FILE).symlink_to(outside)


def _torch_zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}))
    return content.getvalue()


def _unsupported(name: str, **changes: object) -> Bad:
    return Bad(name, LoadFault.UNSUPPORTED_CONFIG, _config(**changes))


F = LoadFault
BAD = (
    Bad("corrupt: cut short", F.CORRUPT_WEIGHTS, _cut),
    Bad("corrupt: not what the digest says", F.DIGEST_MISMATCH, _cut, _before),
    Bad("corrupt: a bit flipped in the config", F.DIGEST_MISMATCH, _config(lora_alpha=9), _before),
    Bad("corrupt: random bytes", F.CORRUPT_WEIGHTS, _file(WEIGHTS_FILE, b"\x00\x01" * 500)),
    Bad("corrupt: empty file", F.CORRUPT_WEIGHTS, _file(WEIGHTS_FILE, b"")),
    Bad("corrupt: header is not JSON", F.CORRUPT_WEIGHTS, _file(WEIGHTS_FILE, struct.pack("<Q", 4) + b"{{{{")),
    Bad("corrupt: overlapping tensors", F.CORRUPT_WEIGHTS, _header(_overlap)),
    Bad("corrupt: shape beyond the file", F.CORRUPT_WEIGHTS, _header(_huge_shape)),
    Bad("corrupt: NaN", F.CORRUPT_WEIGHTS, _tensor(_fill(float("nan")))),
    Bad("corrupt: infinite", F.CORRUPT_WEIGHTS, _tensor(_fill(float("-inf")))),
    Bad("corrupt: infinite, in bfloat16", F.CORRUPT_WEIGHTS, _tensor(lambda tensor: _fill(float("inf"))(tensor).bfloat16())),
    Bad("corrupt: integers", F.CORRUPT_WEIGHTS, _tensor(lambda tensor: tensor.to(torch.int8))),
    Bad("corrupt: transposed", F.CORRUPT_WEIGHTS, _tensor(lambda tensor: tensor.T.contiguous())),
    Bad("corrupt: half of a pair is missing", F.CORRUPT_WEIGHTS, _lonely),
    Bad("wrong base", F.BASE_MISMATCH, lambda folder: edit_json(folder / PROVENANCE_FILE, baseDigest="sha256:" + "f" * 64)),
    Bad("rank too large", F.RANK_TOO_LARGE, _config(r=128)),
    Bad("rank of the config is not the tensors'", F.CORRUPT_WEIGHTS, _config(r=8)),
    Bad("pickle: a .bin beside the weights", F.UNSAFE_FORMAT, _file("adapter_model.bin", pickle.dumps({}))),
    Bad("pickle: a .pt of innocent content", F.UNSAFE_FORMAT, _file("training.pt", b"")),
    Bad("pickle: renamed to safetensors", F.UNSAFE_FORMAT, _file(WEIGHTS_FILE, pickle.dumps({"a": [1, 2, 3]}))),
    Bad("pickle: a torch archive renamed", F.UNSAFE_FORMAT, _file(WEIGHTS_FILE, _torch_zip())),
    Bad("a link out of the folder", F.UNSAFE_FORMAT, _link_out),
    Bad("weights that are a link out of the folder", F.UNSAFE_FORMAT, _linked_weights),
    Bad("a layer that the base has not", F.UNSUPPORTED_CONFIG, _renamed),
    Bad("config is not JSON", F.UNSUPPORTED_CONFIG, _file(CONFIG_FILE, b"r: 4")),
    Bad("provenance is incomplete", F.UNSUPPORTED_CONFIG, _file(PROVENANCE_FILE, b"{}")),
    _unsupported("another method", peft_type="IA3"),
    _unsupported("DoRA", use_dora=True),
    _unsupported("bias", bias="all"),
    _unsupported("whole modules", modules_to_save=["lm_head"]),
    _unsupported("code from elsewhere", auto_map={"AutoModel": "evil.Model"}),
    _unsupported("trained tokens", trainable_token_indices=[1]),
    _unsupported("ranks by pattern", rank_pattern={"q_proj": 8}),
    _unsupported("layers repeated", layer_replication=[[0, 4]]),
    _unsupported("an initialisation that changes the base", init_lora_weights="pissa"),
    _unsupported("targets by regular expression", target_modules=".*proj"),
    _unsupported("rank zero", r=0),
    _unsupported("a field of a version to come", use_something_new=True),
    Bad(
        "no effect", F.NO_EFFECT, lambda folder: edit_weights(folder, lambda tensors: {n: t * ("lora_A" in n) for n, t in tensors.items()})
    ),
    Bad("overflows", F.CORRUPT_WEIGHTS, lambda folder: edit_weights(folder, lambda tensors: {n: t * 1e20 for n, t in tensors.items()})),
)

BEFORE_LOADING = tuple(bad for bad in BAD if bad.fault is not F.NO_EFFECT and bad.name != "overflows")
