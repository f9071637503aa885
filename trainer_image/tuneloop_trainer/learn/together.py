"""All adapters at once: one frozen base reads the rows of all of them in the same passes.

A round is the next step of every adapter that has one. What an adapter becomes does not depend on the others: its steps, its trees,
its dropout and its optimizer are its own, and its gradients are sums over its own tokens alone.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from tuneloop_contracts.jobs import Lora, Training
from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.checkpoint import Checkpointer
from tuneloop_trainer.learn.compile import Machine, compiled, obstacle
from tuneloop_trainer.learn.forward import nats, reading
from tuneloop_trainer.learn.lora.adapter import Adapter, fresh
from tuneloop_trainer.learn.lora.installed import ActiveAdapters, installed
from tuneloop_trainer.learn.packs.pack import Pack, Packer
from tuneloop_trainer.learn.process_group import ProcessGroup
from tuneloop_trainer.learn.recompute import recomputed
from tuneloop_trainer.learn.steps import Step, supervised_of, tokens_of
from tuneloop_trainer.learn.token_budget import TokenBudget, find_token_budget, free_memory
from tuneloop_trainer.learn.trainee import Trainee, Unit
from tuneloop_trainer.learn.training_state import TrainingState


@dataclass(frozen=True)
class StepResult:
    unit: str
    step: int
    steps: int
    loss: float
    """Nats per supervised token of this step, each row's by its weight."""
    tokens: int
    seconds: float
    """This adapter's part of the round, by tokens; 0 for all that an earlier pod did."""
    spared: int = 0
    """Tokens of the steps that are not needed any more: it stopped early."""


def train_together(
    base: Base,
    units: Sequence[Unit],
    lora: Lora,
    settings: Training,
    on_step: Callable[[StepResult], None],
    checkpointer: Checkpointer | None = None,
) -> dict[str, Adapter]:
    """An adapter for each unit, by its name. The same rows, settings and machine give the same weights, however often it was
    interrupted, where `checkpointer` keeps checkpoints. Of several processes each gets them all.

    Raises NeedsEdit: DIVERGED when a loss is no number any more, UNSUPPORTED_MODEL where LoRA fits no layer.
    """
    if not units:
        return {}
    begun = {seed: fresh(base, lora, seed) for seed in sorted({unit.seed for unit in units})}
    trainees = [Trainee(unit, begun[unit.seed], settings) for unit in units]
    checkpointer = checkpointer or Checkpointer()
    with installed(base, {trainee.unit.name: trainee.adapter for trainee in trainees}) as active, reading(base.model, base.capabilities):
        budget = _token_budget(base, active, trainees, checkpointer.group)
        packer = Packer(
            min(base.placement.tokens_per_batch, budget.tokens), base.placement.device, base.capabilities.forests, budget.tokens
        )
        state = TrainingState(trainees, checkpointer, packer.limits)
        state.restore()
        for trainee in trainees:
            if trainee.losses:
                on_step(_done_before(trainee))
        against = obstacle(Machine.here(), packed=base.capabilities.forests, checkpointing=budget.checkpointing)
        first = trainees[0]
        with compiled(base, active, first.unit.name, first.adapter, against), recomputed(base.model, wanted=budget.checkpointing):
            while going := [trainee for trainee in trainees if trainee.step]:
                for done in _round(base, active, packer, going, lora.dropout, state, checkpointer.group):
                    on_step(done)
                state.round_done()
    return {trainee.unit.name: trainee.result() for trainee in trainees}


def _token_budget(base: Base, active: ActiveAdapters, trainees: Sequence[Trainee], group: ProcessGroup) -> TokenBudget:
    """The same for all processes, which share out the same passes."""
    longest = max(len(row.tokens) for trainee in trainees for row in trainee.unit.rows)
    free = free_memory(base, sum(trainee.weights.nbytes for trainee in trainees))
    return find_token_budget(base, active, trainees[0].unit.name, trainees[0].adapter, longest, group.least(free))


def _round(
    base: Base, active: ActiveAdapters, packer: Packer, going: Sequence[Trainee], dropout: float, state: TrainingState, group: ProcessGroup
) -> list[StepResult]:
    started = time.monotonic()
    steps = {trainee.unit.name: trainee.step or () for trainee in going}
    packs = packer.packs([share for trainee in going for share in trainee.shares(packer)])
    for pack in islice(packs, group.rank + state.packs, None, group.world_size):
        active.assign(pack.parts, dropout)
        state.pack_done(accumulate_gradients(base, pack, steps))
    group.add(*(trainee.gradient for trainee in going))
    losses = group.total([state.losses[trainee.unit.name] for trainee in going])
    for trainee, loss in zip(going, losses, strict=True):
        trainee.update(loss)
    pace = (time.monotonic() - started) / sum(map(tokens_of, steps.values()))
    return [_done(trainee, steps[trainee.unit.name], pace) for trainee in going]


def accumulate_gradients(base: Base, pack: Pack, steps: dict[str, Step]) -> dict[str, float]:
    """Of the mean over each adapter's supervised tokens of its step, however it is cut into packs. Gives that mean's part, in nats."""
    counts = torch.tensor([row.supervised for row in pack.rows])
    weights = torch.tensor(
        [row.weight / supervised_of(steps[str(share.adapter)]) for share in pack.shares for row in share.tree.rows], dtype=torch.float32
    )
    losses = nats(base.model, base.capabilities, pack) * weights.repeat_interleave(counts).to(base.placement.device)
    losses.sum().backward()  # type: ignore[no-untyped-call]
    by_share = torch.split(losses.detach(), [sum(row.supervised for row in share.tree.rows) for share in pack.shares])
    found: dict[str, float] = {}
    for share, part in zip(pack.shares, by_share, strict=True):
        found[str(share.adapter)] = found.get(str(share.adapter), 0.0) + part.sum().item()
    return found


def _done_before(trainee: Trainee) -> StepResult:
    number = len(trainee.losses)
    return StepResult(trainee.unit.name, number, len(trainee.steps), trainee.losses[-1], sum(map(tokens_of, trainee.steps[:number])), 0.0)


def _done(trainee: Trainee, step: Step, pace: float) -> StepResult:
    number, tokens = len(trainee.losses), tokens_of(step)
    spared = 0 if trainee.step else sum(map(tokens_of, trainee.steps[number:]))
    steps = number if spared else len(trainee.steps)
    return StepResult(trainee.unit.name, number, steps, trainee.losses[-1], tokens, pace * tokens, spared)
