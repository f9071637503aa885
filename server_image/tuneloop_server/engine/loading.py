"""The base model from disk to memory, once."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from tuneloop_contracts.base import base_digest
from tuneloop_server.engine.base import BaseFacts
from tuneloop_server.engine.row import Vocabulary

DEFAULT_CONTEXT = 2048
"""Of a model whose configuration names none."""


@dataclass(frozen=True)
class LoadedModel:
    model: Any
    tokenizer: Any
    vocabulary: Vocabulary
    facts: BaseFacts


def load_base(folder: Path) -> LoadedModel:
    """Precision by capability: bfloat16 on CUDA; float32 on a CPU, where bfloat16 is many times slower without AMX.

    Raises FileNotFoundError when the folder holds no safetensors, and whatever transformers raises on a broken one.
    """
    began = time.monotonic()
    digest = base_digest(folder)
    device, dtype = ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True, local_files_only=True)
    model.to(device).eval().requires_grad_(False)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    seconds = time.monotonic() - began
    facts = BaseFacts(
        digest=digest,
        context=getattr(model.config, "max_position_embeddings", None) or DEFAULT_CONTEXT,
        linears=linears(model),
        description=f"{type(model).__name__}, {str(dtype).removeprefix('torch.')} on {device}, loaded in {seconds:.1f} s",
    )
    return LoadedModel(model, tokenizer, _vocabulary(model, tokenizer), facts)


def linears(model: Any) -> Mapping[str, tuple[int, int]]:
    return {
        name: (module.out_features, module.in_features) for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)
    }


def _vocabulary(model: Any, tokenizer: Any) -> Vocabulary:
    named = getattr(model.generation_config, "eos_token_id", None)
    ends = [named] if isinstance(named, int) else list(named or [])
    if tokenizer.eos_token_id is not None:
        ends.append(tokenizer.eos_token_id)
    return Vocabulary(lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=True)), frozenset(ends))
