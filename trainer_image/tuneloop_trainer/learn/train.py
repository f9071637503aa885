"""One domain's adapter.

AdamW without weight decay (LoRA is low-rank already), a warm-up over the first 3 % of the steps, then a linear decay to zero:
it needs no length but the run's own, and beats cosine to 10 % at every budget (Bergsma et al., Straight to Zero, 2025).
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from tuneloop_contracts.jobs import Training
from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.errors import NeedsEdit, TryLater
from tuneloop_trainer.learn.batches import Step, steps_of_epoch
from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.loss import token_losses
from tuneloop_trainer.learn.precision import Placement

WARM_UP = 0.03
LARGEST_GRADIENT = 1.0
"""Norm to which gradients are clipped."""


@dataclass(frozen=True)
class StepDone:
    step: int
    steps: int
    loss: float
    """Nats per supervised token of this step."""
    tokens: int
    seconds: float


def train_domain(
    model: torch.nn.Module, rows: Sequence[Encoded], settings: Training, placement: Placement, on_step: Callable[[StepDone], None]
) -> None:
    """Trains what of `model` is trainable, in place. The same rows, settings and machine give the same weights.

    Raises NeedsEdit (DIVERGED) when the loss is no number any more.
    """
    torch.manual_seed(settings.seed)
    steps = planned_steps(rows, settings, placement)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=settings.learning_rate, weight_decay=0.0)
    model.train()
    for number, step in enumerate(steps):
        started = time.monotonic()
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate_factor(number, len(steps))
        loss = accumulate(model, step, placement.device)
        norm = torch.nn.utils.clip_grad_norm_(trainable, LARGEST_GRADIENT)
        if not math.isfinite(loss) or not torch.isfinite(norm):
            raise NeedsEdit(FaultReason.DIVERGED, f"the loss was no number at step {number + 1}: lower training.learningRate")
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        on_step(StepDone(number + 1, len(steps), loss, tokens_of(step), time.monotonic() - started))


def planned_steps(rows: Sequence[Encoded], settings: Training, placement: Placement) -> list[Step]:
    per_batch = min(settings.tokens_per_step, placement.tokens_per_batch)
    return [
        step
        for epoch in range(settings.epochs)
        for step in steps_of_epoch(
            rows, tokens_per_step=settings.tokens_per_step, tokens_per_batch=per_batch, seed=settings.seed, epoch=epoch
        )
    ]


def accumulate(model: torch.nn.Module, step: Step, device: torch.device) -> float:
    """Gradients of the mean over the step's supervised tokens, however it is cut into batches. Gives that mean, in nats."""
    supervised = sum(row.supervised for batch in step for row in batch)
    total = 0.0
    for batch in step:
        loss = token_losses(model, batch, device).sum() / supervised
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return total


def tokens_of(step: Step) -> int:
    return sum(len(row.tokens) for batch in step for row in batch)


def rate_factor(step: int, steps: int) -> float:
    """Of the learning rate at a step, counted from zero: up to 1 in the warm-up, then down to almost 0."""
    warm_up = max(1, math.ceil(WARM_UP * steps))
    return (step + 1) / warm_up if step < warm_up else (steps - step) / (steps - warm_up + 1)


@contextmanager
def memory_named() -> Iterator[None]:
    """An allocation that failed, as OUT_OF_MEMORY with what to change. (A pod over its limit is killed without a word.)"""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _out_of_memory() from error
    except RuntimeError as error:
        if "allocate memory" in str(error):
            raise _out_of_memory() from error
        raise


def _out_of_memory() -> TryLater:
    advice = "lower training.tokensPerStep or training.maxSequenceLength, or give the pod more memory"
    return TryLater(FaultReason.OUT_OF_MEMORY, f"memory ran out: {advice}")
