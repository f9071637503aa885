"""Counts the requests that run, and refuses new ones while the pod goes away. Pure ASGI, so that streams pass untouched."""

import asyncio
import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuneloop_server.errors import Unavailable

log = logging.getLogger(__name__)

GUARDED = "/v1/"
"""Probes and metrics are answered to the last."""
CLOSE = (b"connection", b"close")


class Lifecycle:
    def __init__(self) -> None:
        self.draining = False
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def drained(self, seconds: float) -> bool:
        """Refuse new requests from now on; True when the last running one is done, False when that took too long."""
        self.draining = True
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def enter(self) -> None:
        self._running += 1
        self._idle.clear()

    def leave(self) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()


class DrainMiddleware:
    """The middleware."""

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle) -> None:
        self._app = app
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(GUARDED):
            return await self._app(scope, receive, send)
        logged_send = _LoggedSend(scope, send, self._lifecycle)
        if self._lifecycle.draining:
            refused = Unavailable("this server is shutting down; try again, another one will answer", retry_after=1)
            await _read_away(receive)
            return await refused.response()(scope, receive, logged_send)
        self._lifecycle.enter()
        try:
            await self._app(scope, receive, logged_send)
        finally:
            self._lifecycle.leave()


async def _read_away(receive: Receive) -> None:
    """Or the connection, closed while something of a request is on its way, is reset, and the answer lost (RFC 9112, section 9.6)."""
    while (await receive()).get("more_body"):
        pass


class _LoggedSend:
    """One line in the log for each answer, as it begins: what went well only where somebody looks for it, since chat has a line of its own
    for each answer that ends. The path is as it came: decoded, it could hold a line's end and forge the next one.

    The last answer that a connection brings while the pod goes away: what its client asks next, or again, must go to another one."""

    def __init__(self, scope: Scope, send: Send, lifecycle: Lifecycle) -> None:
        self._scope = scope
        self._send = send
        self._lifecycle = lifecycle

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            level = logging.INFO if message["status"] >= 400 else logging.DEBUG
            log.log(level, "%s %s %d", self._scope["method"], self._scope["raw_path"][:80].decode("latin-1"), message["status"])
            if self._lifecycle.draining:
                message["headers"] = [*message["headers"], CLOSE]
        await self._send(message)
