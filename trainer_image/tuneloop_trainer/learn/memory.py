"""What memory there is, and what happens when it is not enough."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.errors import TryLater


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
