"""One adapter while it is trained: its own weights, optimizer, schedule and end.

AdamW without weight decay (LoRA is low-rank already), a warm-up over the first 3 % of the steps, then a linear decay to zero:
it needs no length but the run's own, and beats cosine to 10 % at every budget (Bergsma et al., Straight to Zero, 2025).
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import fmean

import torch

from tuneloop_contracts.jobs import Training
from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.lora.adapter import Adapter
from tuneloop_trainer.learn.packs.pack import AdapterTree, Packer
from tuneloop_trainer.learn.steps import Step, digest_of_rows, steps_of_epoch, supervised_of

WARM_UP = 0.03
LARGEST_GRADIENT = 1.0
"""Norm to which gradients are clipped."""
LEAST_PROGRESS = 0.001
"""An epoch whose mean loss is not lower by this share than the best before it was the last: what it would still learn is noise. Told
from the training loss, since held-out answers that choose when to stop could not judge the result any more."""

_MOMENTS = ("exp_avg", "exp_avg_sq")
"""AdamW's words for its running means of a gradient and of its square."""


@dataclass(frozen=True)
class Unit:
    """An adapter to be trained."""

    name: str
    rows: Sequence[Encoded]
    seed: int


class Trainee:
    """Its matrices are views of one flat tensor, and their gradients of another: a clip or an all-reduce is one operation."""

    def __init__(self, unit: Unit, begun: Adapter, settings: Training) -> None:
        epochs = [
            steps_of_epoch(unit.rows, tokens_per_step=settings.tokens_per_step, seed=unit.seed, epoch=epoch)
            for epoch in range(settings.epochs)
        ]
        self.unit = unit
        self.steps = [step for epoch in epochs for step in epoch]
        self.losses: list[float] = []
        """Of the steps that are done."""
        self.weights, tensors = _flat(begun.tensors)
        self.adapter = Adapter(begun.config, tensors)
        self._tokens = [supervised_of(step) for step in self.steps]
        self._epochs = list(accumulate(map(len, epochs), initial=0))
        self._rate = settings.learning_rate
        self._optimizer = torch.optim.AdamW([self.weights], lr=self._rate, weight_decay=0.0, fused=True)

    @property
    def step(self) -> Step | None:
        """The next one; None when it is done."""
        done = len(self.losses)
        return None if done == len(self.steps) or learned_out(self.losses, self._tokens, self._epochs) else self.steps[done]

    @property
    def gradient(self) -> torch.Tensor:
        """Flat, as `weights`; zeros at the beginning of a step."""
        assert self.weights.grad is not None  # noqa: S101 - it is there from the beginning
        return self.weights.grad

    def shares(self, packer: Packer) -> list[AdapterTree]:
        """Of the next step."""
        trees = packer.trees(self.step or ())
        return [AdapterTree(self.unit.name, tree, _seed(f"{self.unit.seed}|{len(self.losses)}|{n}")) for n, tree in enumerate(trees)]

    def update(self, loss: float) -> None:
        """One optimizer step, by the gradients that are there. Raises NeedsEdit (DIVERGED) when they are no numbers any more."""
        number = len(self.losses)
        norm = torch.nn.utils.clip_grad_norm_([self.weights], LARGEST_GRADIENT)
        if not math.isfinite(loss) or not torch.isfinite(norm):
            where = f"{self.unit.name}, step {number + 1}, rows {digest_of_rows(self.steps[number])}"
            raise NeedsEdit(FaultReason.DIVERGED, f"the loss was no number ({where}): lower training.learningRate")
        self._optimizer.param_groups[0]["lr"] = self._rate * rate_factor(number, len(self.steps))
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=False)
        self.losses.append(loss)

    def state(self) -> dict[str, torch.Tensor]:
        """All that goes on with it but `losses`: dropout and the order of rows come from what they are for."""
        moments = self._optimizer.state[self.weights]
        return {"weights": self.weights, "gradient": self.gradient} | {name: moments[name] for name in _MOMENTS if moments}

    def restore(self, state: Mapping[str, torch.Tensor], losses: Sequence[float]) -> None:
        """As if the steps that gave `losses` had been done here."""
        self.losses = list(losses)
        with torch.no_grad():
            self.weights.copy_(state["weights"])
            self.gradient.copy_(state["gradient"])
        if losses:
            device = self.weights.device
            moments = {name: state[name].to(device) for name in _MOMENTS}
            self._optimizer.state[self.weights] = {"step": torch.tensor(float(len(losses)), device=device), **moments}

    def result(self) -> Adapter:
        return Adapter(self.adapter.config, {name: tensor.detach().clone() for name, tensor in self.adapter.tensors.items()})


def rate_factor(step: int, steps: int) -> float:
    """Of the learning rate at a step, counted from zero: up to 1 in the warm-up, then down to almost 0."""
    warm_up = max(1, math.ceil(WARM_UP * steps))
    return (step + 1) / warm_up if step < warm_up else (steps - step) / (steps - warm_up + 1)


def learned_out(losses: Sequence[float], tokens: Sequence[int], epochs: Sequence[int]) -> bool:
    """`losses` of the steps so far, `tokens` that each was the mean of; `epochs`: the steps at which one begins, and the end of the
    last. See LEAST_PROGRESS."""
    whole = [slice(start, stop) for start, stop in pairwise(epochs) if stop <= len(losses)]
    means = [fmean(losses[epoch], tokens[epoch]) for epoch in whole]
    return len(means) > 1 and means[-1] > (1 - LEAST_PROGRESS) * min(means[:-1])


def _flat(tensors: Mapping[str, torch.Tensor]) -> tuple[torch.nn.Parameter, dict[str, torch.nn.Parameter]]:
    """One parameter with a gradient, and its pieces by name: parameters that share its memory, and whose gradients share that of its."""
    whole = torch.nn.Parameter(torch.cat([tensor.flatten() for tensor in tensors.values()]))
    whole.grad = torch.zeros_like(whole)
    sizes = [tensor.numel() for tensor in tensors.values()]
    pieces = zip(tensors.items(), torch.split(whole.data, sizes), torch.split(whole.grad, sizes), strict=True)
    named = {}
    for (name, tensor), weights, gradient in pieces:
        named[name] = torch.nn.Parameter(weights.view_as(tensor))
        named[name].grad = gradient.view_as(tensor)
    return whole, named


def _seed(text: str) -> int:
    """Of dropout, by what it is for; so nothing has to be kept to go on after an interruption."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])
