"""What has been trained so far, kept where the adapters go: a pod that comes again goes on from there, to the same bits.

A file is whole or not there, and says by a digest of its own whether it is what was written.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from tuneloop_contracts.jobs import TrainConfig
from tuneloop_contracts.stores import Store
from tuneloop_trainer.config import inputs_digest
from tuneloop_trainer.errors import NeedsEdit, TryLater
from tuneloop_trainer.learn.process_group import ALONE, ProcessGroup
from tuneloop_trainer.stopping import EXIT_CODE, Stop
from tuneloop_trainer.store import get_bytes, put_bytes, remove_file, remove_older

log = logging.getLogger("tuneloop")

FOLDER = "_checkpoints"
"""Below the adapters' store. No domain can be called so."""
EVERY = 120.0
"""Seconds between two; what a pod that is killed without a word loses at most."""
ABANDONED = timedelta(days=7)
"""A checkpoint that nobody went on with for so long is of a job that was deleted or given up: the next job of the target that ends
takes it away. One that is suspended for longer begins anew."""
_PROGRESS, _DIGEST_BYTES = "progress", 32


@dataclass(frozen=True)
class Checkpoint:
    tensors: Mapping[str, torch.Tensor]
    progress: Mapping[str, Any]
    """JSON-ready."""

    def to_bytes(self) -> bytes:
        told = torch.frombuffer(bytearray(json.dumps(self.progress).encode()), dtype=torch.uint8)
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        content = save({**plain, _PROGRESS: told})
        return hashlib.sha256(content).digest() + content

    @classmethod
    def from_bytes(cls, content: bytes) -> "Checkpoint":
        """Raises ValueError for what is not, bit by bit, what `to_bytes` gave."""
        digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != digest:
            raise ValueError("its digest is another")
        try:
            tensors = load(content)
        except SafetensorError as error:
            raise ValueError("it is no safetensors") from error
        told = tensors.pop(_PROGRESS)
        return cls(tensors, json.loads(told.numpy().tobytes()))


@dataclass
class Checkpointer:
    """Keeps checkpoints of one job: each EVERY seconds, and when the process is asked to stop. Without a store it keeps none."""

    store: Store | None = None
    stop: Stop = field(default_factory=Stop)
    group: ProcessGroup = ALONE
    clock: Callable[[], float] = time.monotonic
    every: float = EVERY

    def __post_init__(self) -> None:
        self._kept_at = self.clock()

    @classmethod
    def of(cls, config: TrainConfig, stop: Stop, group: ProcessGroup = ALONE) -> "Checkpointer":
        name = f"{config.job_uid[:8]}-{inputs_digest(config)[:16]}.safetensors"
        return cls(Store(config.adapters_uri).below(FOLDER, name), stop, group)

    def last(self) -> Checkpoint | None:
        """What an earlier pod of the same inputs kept. One that is damaged counts as none."""
        content = get_bytes(self.store) if self.store else None
        if content is None:
            return None
        try:
            return Checkpoint.from_bytes(content)
        except ValueError as error:
            log.warning("train: the checkpoint is not used: %s", error)
            return None

    @property
    def due(self) -> bool:
        return self.store is not None and (self.stop.asked.is_set() or self.clock() - self._kept_at >= self.every)

    def anyone(self, *marks: bool) -> tuple[bool, ...]:
        """Of each mark, whether it is set for any of the processes that train together."""
        return tuple(total > 0 for total in self.group.total([float(mark) for mark in marks]))

    def keep(self, checkpoint: Checkpoint, *, leave: bool) -> None:
        """A store that does not take it costs only what would be trained again. With `leave` the process ends here: it was asked to."""
        if self.store and self.group.is_first:
            try:
                put_bytes(self.store, checkpoint.to_bytes())
                log.info("train: what is trained so far is kept%s", ", and the pod ends" if leave else "")
            except TryLater as error:
                log.warning("train: no checkpoint was kept: %s", error.fault.message)
        self._kept_at = self.clock()
        if leave:
            raise SystemExit(EXIT_CODE)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """While inside, a signal to stop waits for the next pack. What can never be trained leaves nothing behind."""
        with self.stop.keeping():
            try:
                yield
            except NeedsEdit:
                self.forget()
                raise

    def forget(self) -> None:
        """There is nothing to go on with: it is done, or it can never be."""
        if self.store and self.group.is_first:
            try:
                remove_file(self.store)
            except TryLater as error:
                log.warning("train: the checkpoint stays: %s", error.fault.message)


def forget_abandoned(config: TrainConfig, *, now: datetime) -> None:
    try:
        remove_older(Store(config.adapters_uri).below(FOLDER), now - ABANDONED)
    except TryLater as error:
        log.warning("train: abandoned checkpoints stay: %s", error.fault.message)
