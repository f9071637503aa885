"""Everything that can be known of an adapter before it comes near the model. Reads each file once, into memory: what was
checked is what gets loaded, whatever happens to the files meanwhile. Nothing here can run a pickle."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tuneloop_contracts.adapters import CONFIG_FILE, DIGESTED_FILES, PROVENANCE_FILE, WEIGHTS_FILE, Provenance
from tuneloop_contracts.base import digest_of_contents
from tuneloop_contracts.pods import LoadFault
from tuneloop_server.adapters.rejection import AdapterRejected
from tuneloop_server.adapters.shape import check_shapes
from tuneloop_server.adapters.weights import check_finite, read_header
from tuneloop_server.background import Throttle
from tuneloop_server.engine.base import AdapterWeights, BaseFacts

_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")
_MAGIC = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x1f\x8b")
"""How a zip (what torch.save writes), a pickle of protocol 2 to 5, and a gzip begin."""
_SMALL_FILE = 4 * 2**20
"""Longest configuration or provenance, in bytes."""
_IGNORED = ("base_model_name_or_path", "revision", "task_type", "inference_mode", "lora_dropout", "peft_version", "peft_type")
"""Of adapter_config.json: says nothing about what a loaded adapter computes, or is checked apart."""
_INERT = {"bias": "none", "init_lora_weights": True, "megatron_core": "megatron.core", "qalora_group_size": 16}
"""PEFT's defaults that are not empty."""
_SERVED = ("r", "lora_alpha", "target_modules", "use_rslora")


@dataclass(frozen=True)
class Limits:
    base: BaseFacts
    max_rank: int

    @property
    def max_bytes(self) -> int:
        """No adapter of the highest rank over every layer, in float32, is larger; and a megabyte for the header."""
        return sum(self.max_rank * (out + into) * 4 for out, into in self.base.linears.values()) + 2**20


def preflight(folder: Path, digest: str, limits: Limits, throttle: Throttle = lambda: None) -> AdapterWeights:
    """The adapter in `folder`, fit to be loaded. Raises AdapterRejected with the first reason that it is not."""
    try:
        _refuse_unsafe_files(folder)
    except OSError as error:  # a network's file system that is away for a moment
        raise AdapterRejected(LoadFault.ARTIFACT_NOT_FOUND, f"the adapter's folder cannot be read: {error.strerror}") from error
    contents = _read(folder, limits)
    if digest_of_contents(contents, throttle) != digest:
        raise AdapterRejected(LoadFault.DIGEST_MISMATCH, "the files are not those that the manifest names by digest")
    _check_provenance(_json(contents, PROVENANCE_FILE), limits.base)
    config = _json(contents, CONFIG_FILE)
    _check_config(config, limits.max_rank)
    tensors = read_header(contents[WEIGHTS_FILE])
    check_shapes(tensors, config["r"], limits.base.linears)
    check_finite(contents[WEIGHTS_FILE], tensors, throttle)
    return AdapterWeights({name: config[name] for name in _SERVED if name in config}, contents[WEIGHTS_FILE])


def _refuse_unsafe_files(folder: Path) -> None:
    if not folder.is_dir():
        raise AdapterRejected(
            LoadFault.ARTIFACT_NOT_FOUND, "the adapter's folder is not there yet, or its claim is not mounted in this pod"
        )
    root = folder.resolve()
    for entry in folder.iterdir():
        if entry.is_symlink() and not entry.resolve().is_relative_to(root):
            raise AdapterRejected(LoadFault.UNSAFE_FORMAT, f"{entry.name} is a link that leaves the adapter's folder")
        if entry.exists() and not (entry.is_file() or entry.is_dir()):
            raise AdapterRejected(LoadFault.UNSAFE_FORMAT, f"{entry.name} is a pipe or a device, which might never end")
        if entry.suffix.lower() in _PICKLED:
            raise AdapterRejected(LoadFault.UNSAFE_FORMAT, f"{entry.name} may hold a pickle; only safetensors are served")
        if entry.is_file() and _is_packed(entry):
            raise AdapterRejected(LoadFault.UNSAFE_FORMAT, f"{entry.name} is a pickle or an archive under another name")


def _is_packed(file: Path) -> bool:
    """A safetensors file may begin like a pickle by chance (its header's length), but has a brace at the ninth byte."""
    try:
        with file.open("rb") as stream:
            head = stream.read(9)
    except OSError:
        return False  # reading it whole will say why
    return head.startswith(_MAGIC) and head[8:] != b"{"


def _read(folder: Path, limits: Limits) -> Mapping[str, bytes]:
    """The digested files, in the digest's order."""
    contents = {}
    for name in DIGESTED_FILES:
        most = limits.max_bytes if name == WEIGHTS_FILE else _SMALL_FILE
        try:
            with (folder / name).open("rb") as stream:
                contents[name] = stream.read(most + 1)
        except OSError as error:
            raise AdapterRejected(LoadFault.ARTIFACT_NOT_FOUND, f"{name} cannot be read: {error.strerror}") from error
        if len(contents[name]) > most:
            fault = LoadFault.RANK_TOO_LARGE if name == WEIGHTS_FILE else LoadFault.UNSUPPORTED_CONFIG
            raise AdapterRejected(fault, f"{name} is larger than {most} bytes, the most that an adapter of rank {limits.max_rank} needs")
    return contents


def _json(contents: Mapping[str, bytes], name: str) -> dict[str, Any]:
    try:
        value = json.loads(contents[name])
    except (ValueError, RecursionError) as error:
        raise AdapterRejected(LoadFault.UNSUPPORTED_CONFIG, f"{name} is not JSON") from error
    if not isinstance(value, dict):
        raise AdapterRejected(LoadFault.UNSUPPORTED_CONFIG, f"{name} is not a JSON object")
    return value


def _check_provenance(value: dict[str, Any], base: BaseFacts) -> None:
    try:
        provenance = Provenance.model_validate(value)
    except ValidationError as error:
        raise AdapterRejected(LoadFault.UNSUPPORTED_CONFIG, f"{PROVENANCE_FILE} is incomplete: {error.error_count()} faults") from error
    if provenance.base_digest != base.digest:
        raise AdapterRejected(LoadFault.BASE_MISMATCH, f"trained on base {provenance.base_digest[:19]}, this server has {base.digest[:19]}")


def _check_config(config: dict[str, Any], max_rank: int) -> None:
    """Plain LoRA on linear layers, and nothing else: a field that we do not know and that is set may change the computation."""
    if config.get("peft_type") != "LORA":
        raise _unsupported(f"peft_type is {str(config.get('peft_type'))[:40]!r}; LORA is served")
    rank, alpha, targets = config.get("r"), config.get("lora_alpha"), config.get("target_modules")
    if type(rank) is not int or rank < 1:
        raise _unsupported("r is not a positive whole number")
    if rank > max_rank:
        raise AdapterRejected(LoadFault.RANK_TOO_LARGE, f"rank {rank}; this server takes at most {max_rank}")
    if type(alpha) not in (int, float):
        raise _unsupported("lora_alpha is not a number")
    if not isinstance(targets, list) or not targets or not all(isinstance(target, str) for target in targets):
        raise _unsupported("target_modules is not a list of names")
    for name, value in config.items():
        if value and name not in (*_SERVED, *_IGNORED) and value != _INERT.get(name):
            raise _unsupported(f"{name[:60]} is set, which this server does not support")


def _unsupported(message: str) -> AdapterRejected:
    return AdapterRejected(LoadFault.UNSUPPORTED_CONFIG, message)
