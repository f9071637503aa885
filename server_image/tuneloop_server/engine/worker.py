"""The one thread that touches the model: lanes take turns, and adapters come and go between two turns."""

import logging
import queue
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

import torch

from tuneloop_server.engine.batch import Model
from tuneloop_server.engine.lane import Lane
from tuneloop_server.engine.lora import Adapters
from tuneloop_server.engine.row import Row
from tuneloop_server.errors import Failed, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")


class Worker(Thread):
    """Fair between adapters: each lane with work gets one turn, then goes to the end."""

    def __init__(self, model: Model, adapters: Adapters, max_rows: int) -> None:
        super().__init__(name="engine", daemon=True)
        self._model = model
        self._adapters = adapters
        self._max_rows = max_rows
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lanes: deque[Lane] = deque()
        self._closing = False

    def submit(self, row: Row) -> None:
        self._orders.put(lambda: self._lane_of(row.adapter).add(row))

    def call(self, work: Callable[[], T]) -> "Future[T]":
        """Run `work` between two turns."""
        done: Future[T] = Future()
        self._orders.put(lambda: _settle(done, work))
        return done

    def close(self) -> None:
        self._orders.put(self._stop)
        self.join()

    def run(self) -> None:
        while not self._closing:
            self._take_orders()
            if self._lanes:
                self._turn(self._lanes.popleft())
        for lane in self._lanes:
            lane.abandon(Unavailable("the server is shutting down"))

    def _take_orders(self) -> None:
        """All that have come; waits for one when there is nothing else to do."""
        if not self._lanes:
            self._orders.get()()
        while not self._orders.empty():
            self._orders.get()()

    def _turn(self, lane: Lane) -> None:
        try:
            with torch.inference_mode():
                self._adapters.use(lane.adapter)
                lane.turn(self._model)
        except Exception as error:
            log.error("a batch failed: %s", type(error).__name__)
            lane.fail(Failed("the model failed on this request"))
        if not lane.idle:
            self._lanes.append(lane)

    def _lane_of(self, adapter: str | None) -> Lane:
        for lane in self._lanes:
            if lane.adapter == adapter:
                return lane
        self._lanes.append(Lane(adapter, self._max_rows))
        return self._lanes[-1]

    def _stop(self) -> None:
        self._closing = True


def _settle(done: "Future[T]", work: Callable[[], T]) -> None:
    try:
        done.set_result(work())
    except BaseException as error:
        done.set_exception(error)
