"""QLoRA: the frozen base in 4 bits while adapters train over it (Dettmers et al., arXiv 2305.14314), by bitsandbytes.

Only training is so: what serves is not quantized, so candidates are judged on the base as it is.
"""

from typing import Any

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from tuneloop_contracts.jobs import TrainConfig
from tuneloop_trainer.learn.precision import Placement


def quantized(kind: str, placement: Placement) -> dict[str, Any]:
    """What `from_pretrained` is told beside the rest. The scales of blocks are quantized too, which spares 0.4 bits a weight."""
    if kind == "None":
        return {}
    wanted = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True, bnb_4bit_quant_type=kind.lower(), bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=placement.dtype
    )
    return {"quantization_config": wanted, "device_map": {"": placement.device}}


def frozen_on(device: torch.device, model: Any) -> PreTrainedModel:
    """Without dropout. A quantized layer has none, and must believe that it trains: on CPUs with bfloat16 units it would else repack
    itself in a pass without gradients, and from then on give none."""
    if not getattr(model, "is_quantized", False):
        model.to(device)
    frozen: PreTrainedModel = model.requires_grad_(False).eval()
    for module in frozen.modules():
        if type(module).__name__ == "Linear4bit":
            module.train()
    return frozen


def as_served(config: TrainConfig) -> TrainConfig:
    return config.model_copy(update={"training": config.training.model_copy(update={"quantization": "None"})})
