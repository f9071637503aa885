"""One stream, a page at a time. The next page is asked for while this one is being worked on."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.connection import ConnectionPool

from tuneloop_trainer.harvest.connect import pool_of
from tuneloop_trainer.harvest.decode import Flat
from tuneloop_trainer.harvest.redis_errors import REDIS_ERRORS
from tuneloop_trainer.harvest.retry import RetryPolicy

PAGE = 250
"""Entries asked for at once: of a kilobyte each, they and what is made of them still fit into a processor's cache."""

Page = list[tuple[bytes, Flat]]


def newest_first(client: "redis.Redis", retry: RetryPolicy, stream: str, first: bytes, last: bytes) -> Iterator[Page]:
    """Ids from `last` back to `first`, as Redis takes them (`-`, `+`, milliseconds, `(` before one that is not included)."""
    return _pages(_PageRequest(client, "XREVRANGE", stream, first), retry, last)


def oldest_first(client: "redis.Redis", retry: RetryPolicy, stream: str, first: bytes, last: bytes) -> Iterator[Page]:
    return _pages(_PageRequest(client, "XRANGE", stream, last), retry, first)


def _pages(line: "_PageRequest", retry: RetryPolicy, start: bytes) -> Iterator[Page]:
    """May be closed early.

    Redis answers while the reply before is decoded: by a request ahead on one connection, since a second thread would only fight
    over the interpreter. A connection that breaks is made again, and asked again from the last entry that arrived.
    """

    def fetch() -> Page:
        if line.idle:
            line.ask(start)
        return line.receive()

    try:
        more = True
        while more:
            page = retry.call(fetch)
            more = len(page) == PAGE
            if more:
                start = b"(" + page[-1][0]
                with suppress(*REDIS_ERRORS):  # then `fetch` asks, and waits
                    line.ask(start)
            yield page
    finally:
        line.close()


@dataclass
class _PageRequest:
    """A connection of the client's pool, with at most one request on its way; redis-py's own calls wait for each reply."""

    client: "redis.Redis"
    command: str
    stream: str
    stop: bytes
    idle: bool = True
    _pool: ConnectionPool | None = None
    _connection: Any = None
    _failed: bool = False

    def ask(self, start: bytes) -> None:
        with self._closed_on_error():
            if not self._connection:
                self._pool = pool_of(self.client, self.stream, anew=self._failed)
                self._connection = self._pool.get_connection()
            self._connection.send_command(self.command, self.stream, start, self.stop, "COUNT", PAGE)
        self.idle = False

    def receive(self) -> Page:
        with self._closed_on_error():
            page = cast(Page, self._connection.read_response(disable_decoding=True))
        self.idle = True
        return page

    def close(self) -> None:
        """A connection on which a reply is still due is of no use to the next."""
        if self._pool and self._connection:
            if not self.idle:
                self._connection.disconnect()
            self._pool.release(self._connection)
        self._connection, self.idle = None, True

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._failed = True
            self.close()
            raise
