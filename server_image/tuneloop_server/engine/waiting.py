"""Requests that wait for a row: fair between adapters, in order within each."""

from collections import deque

from tuneloop_server.engine.row import Row


class Waiting:
    def __init__(self) -> None:
        self._queues: dict[str | None, deque[Row]] = {}
        """By adapter; the one at the front is next."""

    def __bool__(self) -> bool:
        return bool(self._queues)

    def add(self, row: Row) -> None:
        self._queues.setdefault(row.adapter, deque()).append(row)

    def pop(self) -> Row | None:
        """The next one; its adapter then goes to the end."""
        while self._queues:
            adapter, queue = next(iter(self._queues.items()))
            del self._queues[adapter]
            row = queue.popleft()
            if queue:
                self._queues[adapter] = queue
            if not row.over:
                return row
        return None

    def forget_cancelled(self) -> None:
        kept = {adapter: deque(row for row in queue if not row.over) for adapter, queue in self._queues.items()}
        self._queues = {adapter: queue for adapter, queue in kept.items() if queue}
