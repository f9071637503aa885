"""Work that may take its time, beside a model that answers."""

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import get_native_id
from typing import TypeVar

T = TypeVar("T")

NICENESS = 10
"""A tenth of a processor when all are busy (Linux's weights: 110 beside 1024), a whole one when not. A step of the model waits for the
slowest of its threads at each of some two hundred products: one that shares its processor with an equal makes all of them late."""


async def in_background(work: Callable[[], T]) -> T:
    """One at a time, in the order of their coming."""
    return await asyncio.get_running_loop().run_in_executor(_thread, work)


def _give_way() -> None:
    if sys.platform == "linux":  # elsewhere it would be the whole process that gives way
        os.setpriority(os.PRIO_PROCESS, get_native_id(), NICENESS)


_thread = ThreadPoolExecutor(1, "background", initializer=_give_way)
