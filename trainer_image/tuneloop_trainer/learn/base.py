"""The base model, loaded once for all domains."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging as transformers_logging

from tuneloop_contracts.jobs import TrainConfig
from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.learn.base_folder import licence_of
from tuneloop_trainer.learn.encode import Tokenizer
from tuneloop_trainer.learn.forward import ModelCapabilities, probe_capabilities
from tuneloop_trainer.learn.precision import Placement
from tuneloop_trainer.learn.quantize import frozen_on, quantized

log = logging.getLogger("tuneloop")


@dataclass(frozen=True)
class Base:
    name: str
    digest: str
    model: PreTrainedModel
    tokenizer: Tokenizer
    placement: Placement
    capabilities: ModelCapabilities = field(default_factory=ModelCapabilities)
    licence: str = ""
    """As its own card names it."""

    @property
    def context(self) -> int | None:
        """Most tokens of a row; None where its kind knows no bound."""
        return getattr(self.model.config, "max_position_embeddings", None)


def load_base(folder: Path, config: TrainConfig, digest: str, placement: Placement) -> Base:
    """Raises NeedsEdit (UNSUPPORTED_MODEL) for what transformers cannot load whole, or a tokenizer without a chat template."""
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model, loading = cast(Any, AutoModelForCausalLM).from_pretrained(
            folder, dtype=placement.dtype, local_files_only=True, use_safetensors=True, trust_remote_code=False, output_loading_info=True,
            **quantized(config.training.quantization, placement),
        )  # fmt: skip
    except MemoryError:
        raise
    except Exception as error:  # a config.json may be wrong in any way
        if isinstance(error, RuntimeError) and "mismatch" not in str(error):  # such as memory that ran out
            raise
        raise _unsupported(config, f"cannot be loaded ({type(error).__name__})") from error
    if missing := sorted(loading["missing_keys"]):  # transformers would draw them at random
        raise _unsupported(config, f"lacks {len(missing)} of its weights, such as {missing[0]}")
    if not tokenizer.chat_template:
        raise NeedsEdit(FaultReason.UNSUPPORTED_MODEL, f"{config.base_model}: its tokenizer has no chat template")
    try:
        tokenizer.apply_chat_template([{"role": "user", "content": "?"}], tokenize=False, add_generation_prompt=True)
    except TemplateError as error:
        fault = f"{config.base_model}: its chat template does not take a question ({type(error).__name__})"
        raise NeedsEdit(FaultReason.UNSUPPORTED_MODEL, fault) from error
    format_ = str(placement.dtype).removeprefix("torch.")
    if config.training.quantization != "None":
        format_ = f"{config.training.quantization}, computed in {format_}"
    log.info("train: %s on %s in %s: %s", config.base_model, placement.device, format_, placement.why)
    frozen = frozen_on(placement.device, model)
    capabilities, licence = probe_capabilities(frozen, placement.device), licence_of(folder)
    return Base(config.base_model, digest, frozen, cast(Tokenizer, tokenizer), placement, capabilities, licence)


def _unsupported(config: TrainConfig, fault: str) -> NeedsEdit:
    needed = "it must be a causal language model that transformers knows, with whole *.safetensors that fit its config.json"
    return NeedsEdit(FaultReason.UNSUPPORTED_MODEL, f"{config.base_uri} {fault}: {needed}")
