"""How much of a pod one tenant may take, so that the others find room."""

from collections import Counter

from tuneloop_server.errors import TryLater

RETRY_AFTER = 1
"""Seconds: a place is free again at the end of each answer."""


class Concurrency:
    """Counts the requests of each tenant that are in flight in this pod."""

    def __init__(self, most: int) -> None:
        """`most` of one tenant; 0 = as many as come."""
        self._most = most
        self._in_flight: Counter[str] = Counter()

    def enter(self, tenant: str) -> None:
        """Leave in any case, unless it raises: TryLater."""
        if self._most and self._in_flight[tenant] >= self._most:
            message = f"your limit is {self._most} requests at the same time; try again when one of them is done"
            raise TryLater(message, code="rate_limit_exceeded", retry_after=RETRY_AFTER)
        self._in_flight[tenant] += 1

    def leave(self, tenant: str) -> None:
        self._in_flight[tenant] -= 1
        if not self._in_flight[tenant]:
            del self._in_flight[tenant]  # so that the table does not grow with every tenant there ever was
