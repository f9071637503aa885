"""LoRA on the base model, and off again: one base serves all domains, one after another."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file

from tuneloop_contracts.adapters import CONFIG_FILE, PROVENANCE_FILE, WEIGHTS_FILE, adapter_digest
from tuneloop_contracts.jobs import Lora, ServingAdapter
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.stores import BadUri, Store
from tuneloop_trainer.errors import NeedsEdit, TryLater
from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.store import get_folder

log = logging.getLogger("tuneloop")

ALL_LINEAR = "all-linear"
"""PEFT's word for every linear layer but the head."""


def attach(base: Base, lora: Lora, seed: int) -> PeftModel:
    """A fresh adapter, trainable; its weights depend on the seed alone. Raises NeedsEdit (UNSUPPORTED_MODEL) where LoRA fits no layer."""
    torch.manual_seed(seed)
    shape = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules) or ALL_LINEAR,
        task_type="CAUSAL_LM",
    )
    try:
        with _quiet():
            return get_peft_model(base.model, shape)
    except ValueError as error:
        wanted = ", ".join(lora.target_modules) or "linear layers"
        raise NeedsEdit(FaultReason.UNSUPPORTED_MODEL, f"{base.name}: no layer takes LoRA by lora.targetModules ({wanted})") from error


def detach(model: PeftModel) -> None:
    """The base as it was: the wrapped layers are put back in place."""
    model.unload()


def load_serving(base: Base, serving: ServingAdapter) -> PeftModel | None:
    """What serves now, for the gate to compare with. None, and a log line, where it cannot be had: then the base stands in."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            get_folder(Store(serving.uri), (CONFIG_FILE, WEIGHTS_FILE, PROVENANCE_FILE), Path(folder))
            if adapter_digest(Path(folder)) != serving.digest:
                raise ValueError("its digest is another")
            return _loaded(base, Path(folder))
        except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError, BadUri, TryLater) as error:
            log.warning("evaluate: %s cannot be loaded (%s); the base stands in", serving.revision, type(error).__name__)
            return None


def _loaded(base: Base, folder: Path) -> PeftModel:
    """Not `PeftModel.from_pretrained`: where that fails halfway, the base keeps the layers of an adapter that nobody holds."""
    shape = PeftConfig.from_pretrained(str(folder))
    shape.base_model_name_or_path = None
    weights = load_file(folder / WEIGHTS_FILE)
    with _quiet():
        model = cast(PeftModel, get_peft_model(base.model, shape))
    try:
        if cast(Any, set_peft_model_state_dict(model, weights)).unexpected_keys:
            raise ValueError("its weights are for other layers")
    except (ValueError, RuntimeError):
        detach(model)
        raise
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """PEFT asks transformers for an attribute under its old name, and users would read about it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        yield
