"""Where a training stands, in steps and in packs of the present round: kept now and then, and taken up by the next pod."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tuneloop_trainer.learn.checkpoint import Checkpoint, Checkpointer
from tuneloop_trainer.learn.trainee import Trainee

log = logging.getLogger("tuneloop")


class TrainingState:
    """`packs` and `losses`: how many packs of the present round are done, and the parts of its losses that they gave.

    `limits`: what decides how rows are cut into packs.
    """

    def __init__(self, trainees: Sequence[Trainee], checkpointer: Checkpointer, limits: tuple[int, int]) -> None:
        self.packs = 0
        self.losses: Counter[str] = Counter()
        self._trainees = trainees
        self._checkpointer = checkpointer
        self._limits = limits

    def restore(self) -> None:
        """What an earlier pod left, if it fits: then every number is as it was there."""
        last = self._checkpointer.last()
        if last is None:
            return
        if [trainee.unit.name for trainee in self._trainees] != list(last.progress["losses"]):
            log.warning("train: the checkpoint is of other adapters and not used")
            return
        for trainee in self._trainees:
            name = trainee.unit.name
            trainee.restore(_named(last.tensors, name), last.progress["losses"][name])
        self._restore_round(last.progress)
        steps = ", ".join(f"{trainee.unit.name} {len(trainee.losses)}/{len(trainee.steps)}" for trainee in self._trainees)
        log.info("train: goes on where an earlier pod stopped, at steps %s", steps)

    def _restore_round(self, progress: Mapping[str, Any]) -> None:
        if progress.get("limits") == list(self._limits):
            self.packs, self.losses = progress["packs"], Counter(progress["round"])
            return
        log.warning("train: this pod has other memory and packs otherwise: the step that was interrupted begins anew")
        for trainee in self._trainees:
            trainee.gradient.zero_()

    def pack_done(self, losses: Mapping[str, float]) -> None:
        """Of several processes each has only its own part of a round; they keep whole ones."""
        self.packs += 1
        self.losses.update(losses)
        if self._checkpointer.group.world_size == 1 and self._checkpointer.due:
            self._keep(leave=self._checkpointer.stop.asked.is_set())

    def round_done(self) -> None:
        self.packs, self.losses = 0, Counter()
        asked, due = self._checkpointer.anyone(self._checkpointer.stop.asked.is_set(), self._checkpointer.due)
        if due:
            self._keep(leave=asked)

    def _keep(self, *, leave: bool) -> None:
        tensors = {f"{trainee.unit.name}/{name}": tensor for trainee in self._trainees for name, tensor in trainee.state().items()}
        losses = {trainee.unit.name: trainee.losses for trainee in self._trainees}
        progress = {"losses": losses, "limits": self._limits, "packs": self.packs, "round": self.losses}
        self._checkpointer.keep(Checkpoint(tensors, progress), leave=leave)


def _named(tensors: Mapping[str, torch.Tensor], unit: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(f"{unit}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{unit}/")}
