"""An adapter as values. PEFT says how it begins, what it is called and how it is stored; how it is computed is `linear`'s."""

import copy
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file

from tuneloop_contracts.adapters import CONFIG_FILE, PROVENANCE_FILE, WEIGHTS_FILE, adapter_digest
from tuneloop_contracts.jobs import Lora, ServingAdapter
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.stores import BadUri, Store
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.lora.linear import Matrices
from tuneloop_trainer.store import get_folder

log = logging.getLogger("tuneloop")

ALL_LINEAR = "all-linear"
"""PEFT's word for every linear layer but the head."""
_PREFIX, _DOWN, _UP = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
"""Of the names in PEFT's files."""


@dataclass(frozen=True)
class Adapter:
    config: LoraConfig
    tensors: Mapping[str, torch.Tensor]
    """By PEFT's names."""

    def layers(self) -> dict[str, Matrices]:
        """By the layer's path in the base. Raises ValueError for what is more than plain LoRA."""
        paths = [name.removeprefix(_PREFIX).removesuffix(_DOWN) for name in self.tensors if name.endswith(_DOWN)]
        named = {path: (self.tensors[f"{_PREFIX}{path}{_DOWN}"], self.tensors[f"{_PREFIX}{path}{_UP}"]) for path in paths}
        if 2 * len(named) != len(self.tensors) or self.config.rank_pattern or self.config.alpha_pattern:
            raise ValueError("it is not plain LoRA")
        scale = self.config.lora_alpha / (self.config.r**0.5 if self.config.use_rslora else self.config.r)
        return {path: Matrices(down, up, scale) for path, (down, up) in named.items()}


def fresh(base: Base, lora: Lora, seed: int) -> Adapter:
    """As PEFT begins one: its weights depend on the seed alone. Raises NeedsEdit (UNSUPPORTED_MODEL) where LoRA fits no layer."""
    torch.manual_seed(seed)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=_targets(base, lora),
        task_type="CAUSAL_LM",
    )
    try:
        with wrapped(base, config) as model:
            return Adapter(config, _tensors(model))
    except ValueError as error:
        wanted = ", ".join(lora.target_modules) or "linear layers"
        raise NeedsEdit(FaultReason.UNSUPPORTED_MODEL, f"{base.name}: no layer takes LoRA by lora.targetModules ({wanted})") from error


def _targets(base: Base, lora: Lora) -> list[str] | str:
    """Of a mixture of experts PEFT would also take the experts' and the router's own parameters, which are no layers: they stay as they
    are, and LoRA is on the linear layers around them. Raises NeedsEdit for one that is asked for."""
    modules = [(name, module) for name, module in base.model.named_modules() if name]
    if not any(tensor.dim() == 3 for name, module in modules if "experts" in name for tensor in module.parameters(recurse=False)):
        return list(lora.target_modules) or ALL_LINEAR
    head = cast(Any, base.model).get_output_embeddings()
    linear = sorted({name.rsplit(".", 1)[-1] for name, module in modules if isinstance(module, torch.nn.Linear) and module is not head})
    if fused := sorted(set(lora.target_modules) - set(linear)):
        why = f"{base.name} has no such linear layer; use {', '.join(linear)}, or none for all of them"
        raise NeedsEdit(FaultReason.UNSUPPORTED_MODEL, f"lora.targetModules {', '.join(fused)}: {why}")
    log.info("train: a mixture of experts, whose experts and routers stay as they are; LoRA on %s", ", ".join(linear))
    return list(lora.target_modules) or linear


def load_serving(base: Base, serving: ServingAdapter) -> Adapter | None:
    """What serves now, for the gate to compare with. None, and a log line, where it is gone or of another base: then the base stands in.

    Raises TryLater where the store is away: a candidate that only beats the base would take the place of a better one.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            get_folder(Store(serving.uri), (CONFIG_FILE, WEIGHTS_FILE, PROVENANCE_FILE), Path(folder))
            if adapter_digest(Path(folder)) != serving.digest:
                raise ValueError("its digest is another")
            return _loaded(base, Path(folder))
        except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError, BadUri) as error:
            log.warning("evaluate: %s cannot be loaded (%s); the base stands in", serving.revision, type(error).__name__)
            return None


def save(base: Base, adapter: Adapter, folder: Path) -> None:
    """PEFT's directory, written by PEFT."""
    with wrapped(base, copy.deepcopy(adapter.config)) as model:
        set_peft_model_state_dict(model, {name: value.detach() for name, value in adapter.tensors.items()})
        model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)


def _loaded(base: Base, folder: Path) -> Adapter:
    config = PeftConfig.from_pretrained(str(folder))
    config.base_model_name_or_path = None
    with wrapped(base, config) as model:
        if cast(Any, set_peft_model_state_dict(model, load_file(folder / WEIGHTS_FILE))).unexpected_keys:
            raise ValueError("its weights are for other layers")
        adapter = Adapter(config, _tensors(model))
    adapter.layers()
    return adapter


def _tensors(model: PeftModel) -> dict[str, torch.Tensor]:
    return {name: value.detach() for name, value in get_peft_model_state_dict(model, save_embedding_layers=False).items()}


@contextmanager
def wrapped(base: Base, config: PeftConfig) -> Iterator[PeftModel]:
    """PEFT's own model of an adapter; the base is as it was afterwards."""
    with warnings.catch_warnings():
        # PEFT asks transformers for an attribute under its old name, and users would read about it
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        # and says of GPT-2's layers, whose weights lie the other way round, that it has seen to it
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False", category=UserWarning)
        model = cast(PeftModel, get_peft_model(base.model, config))
    try:
        yield model
    finally:
        model.unload()
