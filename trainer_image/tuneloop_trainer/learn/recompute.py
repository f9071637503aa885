"""Gradient checkpointing, for what does not fit otherwise: of each layer only its input is kept, and the rest computed again in the
backward pass. The gradients have the same bits, at the price of another forward pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer


def layers_of(model: PreTrainedModel) -> list[GradientCheckpointingLayer]:
    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]


@contextmanager
def recomputed(model: PreTrainedModel, *, wanted: bool) -> Iterator[None]:
    """While inside, if `wanted`. (transformers' own way needs the base in training mode, where its dropout is on.)"""
    layers = layers_of(model) if wanted else []
    for layer in layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False, preserve_rng_state=False)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
