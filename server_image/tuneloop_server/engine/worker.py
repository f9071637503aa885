"""The one thread that touches the model: rows are decoded, and adapters come and go between two steps."""

import logging
import queue
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

import torch

from tuneloop_server.engine.base import RETRY_AFTER
from tuneloop_server.engine.row import Row
from tuneloop_server.engine.scheduler import Scheduler
from tuneloop_server.errors import GenerationFailed, Unavailable, without_texts

log = logging.getLogger(__name__)

T = TypeVar("T")


class Worker(Thread):
    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__(name="engine", daemon=True)
        self._scheduler = scheduler
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._called = False
        """Whether a piece of work has been run since the last turn."""
        self._closing = False

    def submit(self, row: Row) -> None:
        """Raises Unavailable."""
        self._order(lambda: self._scheduler.add(row))

    def call(self, work: Callable[[], T]) -> "Future[T]":
        """Run `work` between two turns; not at all when it is cancelled before. Raises Unavailable, or the future does."""
        done: Future[T] = Future()
        self._order(lambda: self._run(done, work))
        return done

    def close(self) -> None:
        self._orders.put(self._end)
        self.join()

    def run(self) -> None:
        """Until it is closed, or until an error that no row and no piece of work is to blame for: then nothing here can be relied on."""
        try:
            with torch.inference_mode():
                while not self._closing:
                    if self._scheduler.idle:
                        self._orders.get()()
                    self.go_on()
        except BaseException as error:
            log.critical("the engine broke: %s", without_texts(error))
        self._closing = True
        while not self._orders.empty():
            self._orders.get()()  # whoever came too late is told so
        self._scheduler.abandon(_stopped())

    def go_on(self) -> None:
        """Take the orders in their turn, up to one piece of work, since rows should wait for no more between two steps; then a turn.
        Work that takes as long as a step calls this itself, between its parts."""
        self._called = False
        while not self._called and not self._orders.empty():
            self._orders.get()()
        if not self._scheduler.idle:
            self._turn()

    def _order(self, order: Callable[[], None]) -> None:
        if not self.is_alive():
            raise _stopped()
        self._orders.put(order)

    def _turn(self) -> None:
        try:
            self._scheduler.turn()
        except Exception as error:
            log.error("a batch failed: %s", type(error).__name__)
            self._scheduler.fail(GenerationFailed("the model failed on this request"))
            if isinstance(error, torch.AcceleratorError):
                raise  # after a fault on the device, CUDA refuses everything else that this process asks of it

    def _run(self, done: "Future[T]", work: Callable[[], T]) -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            if self._closing:
                raise _stopped()
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)
        self._called = True  # not before: it may have let others go on, and other work with them

    def _end(self) -> None:
        self._closing = True


def _stopped() -> Unavailable:
    return Unavailable("the model has stopped; try again, another server will answer", retry_after=RETRY_AFTER)
