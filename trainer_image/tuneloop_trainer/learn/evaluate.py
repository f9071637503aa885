"""Held-out loss, by answer: nats per supervised token of each, so that two models can be compared pair by pair."""

from collections.abc import Callable, Sequence

import torch

from tuneloop_trainer.learn.batches import batches
from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.loss import token_losses
from tuneloop_trainer.learn.precision import Placement


def held_out_losses(
    model: torch.nn.Module, rows: Sequence[Encoded], placement: Placement, on_tokens: Callable[[int], None] = lambda tokens: None
) -> list[float]:
    """In the order of the rows. `on_tokens` hears how many tokens each batch held."""
    model.eval()
    losses: dict[int, float] = {}
    with torch.inference_mode():
        for batch in batches(rows, placement.tokens_per_batch):
            by_row = torch.split(token_losses(model, batch, placement.device), [row.supervised for row in batch])
            losses |= {id(row): nats.mean().item() for row, nats in zip(batch, by_row, strict=True)}
            on_tokens(sum(len(row.tokens) for row in batch))
    return [losses[id(row)] for row in rows]
