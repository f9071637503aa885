"""Work that may take its time, beside a model that answers."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import get_native_id
from typing import TypeVar

from tuneloop_server.engine.base import Pressure

T = TypeVar("T")

NICENESS = 10
"""A tenth of a processor when all are busy (Linux's weights: 110 beside 1024), a whole one when not. A step of the model waits for the
slowest of its threads at each of some two hundred products: one that shares its processor with an equal makes all of them late."""
WORK = 0.001
"""Seconds of it between two rests."""
REST = 5
"""Times as long as it worked it rests, while the model answers: so a step takes a fifth longer."""

Throttle = Callable[[], None]
"""Work calls it often, between any two of its parts."""


async def in_background(work: Callable[[Throttle], T], pressure: Callable[[], Pressure]) -> T:
    """One at a time, in the order of their coming. `pressure`: of the engine; asked on another thread."""
    return await asyncio.get_running_loop().run_in_executor(_thread, lambda: work(_Throttle(pressure)))


class _Throttle:
    """A Throttle for the thread that makes it."""

    def __init__(self, pressure: Callable[[], Pressure]) -> None:
        self._pressure = pressure
        self._last_rest = time.thread_time()

    def __call__(self) -> None:
        worked = time.thread_time() - self._last_rest
        if worked < WORK:
            return
        if self._pressure().running:
            time.sleep(REST * worked)
        self._last_rest = time.thread_time()


def _give_way() -> None:
    if sys.platform == "linux":  # elsewhere it would be the whole process that gives way
        os.setpriority(os.PRIO_PROCESS, get_native_id(), NICENESS)


_thread = ThreadPoolExecutor(1, "background", initializer=_give_way)
