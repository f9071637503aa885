"""One of several processes that train together. Each reads its share of every step; the sums of all are the step's."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist

from tuneloop_trainer.workers import is_launched

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """As torchrun's environment says; without one, a process alone."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    """Which process of its pod, and so which GPU."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "ProcessGroup":
        if not is_launched(env):
            return ALONE
        return cls(int(env["RANK"]), int(env["WORLD_SIZE"]), int(env["LOCAL_RANK"]))

    @property
    def is_first(self) -> bool:
        """Who reports, keeps and publishes."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """Where what is summed must be."""
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else torch.device("cpu")

    @contextmanager
    def joined(self) -> Iterator[None]:
        """While inside, the others can be heard."""
        if self.world_size == 1:
            yield
            return
        if torch.cuda.is_available():
            torch.cuda.set_device(self.local_rank)
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        try:
            yield
        finally:
            dist.destroy_process_group()

    def share(self, whole: Sequence[T]) -> Sequence[T]:
        return whole[self.rank :: self.world_size]

    def add(self, *parts: torch.Tensor) -> None:
        """Each becomes the sum over all processes, in place."""
        if self.world_size > 1:
            for part in parts:
                dist.all_reduce(part)

    def total(self, numbers: Sequence[float]) -> list[float]:
        """The sum over all processes of each number."""
        if self.world_size == 1:
            return list(numbers)
        kept = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        self.add(kept)
        return [float(number) for number in kept]

    def least(self, number: float) -> float:
        """Of all processes."""
        if self.world_size == 1:
            return number
        kept = torch.tensor(number, dtype=torch.float64, device=self.device)
        dist.all_reduce(kept, dist.ReduceOp.MIN)
        return float(kept)


ALONE = ProcessGroup()
