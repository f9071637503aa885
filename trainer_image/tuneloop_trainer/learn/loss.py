"""Cross entropy at the supervised tokens alone, without ever holding their logits.

The projection to the vocabulary is the largest matrix of a small model, and its output the largest tensor of all: 2,000 tokens over
152,000 words are 1.2 GB, and their gradient as much again. Here a few rows of logits at a time turn into losses and then, in the
same memory, into their gradient (Cut Your Losses, arXiv 2411.09009, in plain torch).
"""

from typing import Any

import torch

LOGITS_AT_ONCE = 2**24
"""Bytes: small against 64 MB, and still rows enough to multiply well."""


class _Nats(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor) -> torch.Tensor:
        precise = torch.promote_types(hidden.dtype, torch.float32)
        nats = torch.empty(len(targets), dtype=precise, device=hidden.device)
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        rows = max(1, LOGITS_AT_ONCE // (4 * len(weight)))
        room = hidden.new_empty((min(rows, len(targets)), len(weight)))
        for start in range(0, len(targets), rows):
            chunk = slice(start, start + rows)
            logits = torch.mm(hidden[chunk], weight.t(), out=room[: len(targets) - start])
            logits = (logits if bias is None else logits.add_(bias)).to(precise)
            nats[chunk] = _turned_to_gradient(logits, targets[chunk])
            if gradient is not None:
                torch.mm(logits.to(weight.dtype), weight, out=gradient[chunk])
        ctx.save_for_backward(gradient)
        return nats

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (of_hidden,) = ctx.saved_tensors
        return (of_hidden * gradients[0].to(of_hidden.dtype)[:, None], None, None, None)


def token_nats(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor) -> torch.Tensor:
    """`hidden` [tokens, width], `weight` [vocabulary, width], `targets` [tokens] -> nats of each target, [tokens], in float32 or better.

    Only `hidden` gets a gradient: weight and bias are the frozen base's.
    """
    nats: torch.Tensor = _Nats.apply(hidden, weight, bias, targets)
    return nats


def _turned_to_gradient(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Gives the nats of each row, and leaves in `logits` their gradient: the probabilities, less 1 at the target."""
    logits -= logits.amax(1, keepdim=True)
    at_target = logits.gather(1, targets[:, None])
    total = logits.exp_().sum(1, keepdim=True)
    logits /= total
    logits.scatter_add_(1, targets[:, None], torch.full_like(at_target, -1))
    return (total.log() - at_target).squeeze(1)
