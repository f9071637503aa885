"""Cross entropy at the supervised tokens alone.

The projection to the vocabulary is the largest matrix of a small model. A hook hands it only the positions whose next token is
supervised, so the model's own forward pass stays whole (soft caps and scales after it included), and the numbers are the same.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from peft import PeftModel

from tuneloop_trainer.learn.encode import Encoded


def token_losses(model: torch.nn.Module, rows: Sequence[Encoded], device: torch.device) -> torch.Tensor:
    """Nats of each supervised token, row after row; [sum of supervised tokens], float32.

    `model` is a causal language model of transformers, with or without adapters on it.
    """
    tokens, mask = padded(rows, device)
    supervised = torch.zeros_like(tokens, dtype=torch.bool)
    for n, row in enumerate(rows):
        supervised[n, row.answer : len(row.tokens)] = True
    predicting = supervised.roll(-1, dims=1)  # the position before a token predicts it
    with _only_at(_head(model), predicting):
        logits = model(input_ids=tokens, attention_mask=mask, use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits[0].float(), tokens[supervised], reduction="none")


def padded(rows: Sequence[Encoded], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and attention mask, padded on the right: [rows, longest row], int64. What pads is never attended to."""
    longest = max(len(row.tokens) for row in rows)
    tokens = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for n, row in enumerate(rows):
        tokens[n, : len(row.tokens)] = torch.tensor(row.tokens)
        mask[n, : len(row.tokens)] = 1
    return tokens.to(device), mask.to(device)


@contextmanager
def _only_at(head: torch.nn.Module, positions: torch.Tensor) -> Iterator[None]:
    """`head` sees hidden states of [1, chosen positions, hidden] instead of [rows, length, hidden]."""
    handle = head.register_forward_pre_hook(lambda _, inputs: (inputs[0][positions].unsqueeze(0), *inputs[1:]))
    try:
        yield
    finally:
        handle.remove()


def _head(model: torch.nn.Module) -> torch.nn.Module:
    causal = model.get_base_model() if isinstance(model, PeftModel) else model
    return cast(torch.nn.Module, cast(Any, causal).get_output_embeddings())
