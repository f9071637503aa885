"""Requests that wait for a row: fair between adapters, in order within each."""

from collections import deque
from collections.abc import Callable

from tuneloop_server.engine.row import Row


class WaitQueue:
    def __init__(self) -> None:
        self._queues: dict[str | None, deque[Row]] = {}
        """By adapter, none empty; the one at the front is next."""

    def __bool__(self) -> bool:
        return bool(self._queues)

    def add(self, row: Row) -> None:
        self._queues.setdefault(row.adapter, deque()).append(row)

    def pop(self, fits: Callable[[Row], bool] = lambda row: True) -> Row | None:
        """The next one, if it fits; its adapter then goes to the end."""
        self._forget_cancelled()
        for adapter, queue in self._queues.items():
            if not fits(queue[0]):
                return None
            row = queue.popleft()
            del self._queues[adapter]
            if queue:
                self._queues[adapter] = queue
            return row
        return None

    def _forget_cancelled(self) -> None:
        kept = {adapter: deque(row for row in queue if not row.over) for adapter, queue in self._queues.items()}
        self._queues = {adapter: queue for adapter, queue in kept.items() if queue}
