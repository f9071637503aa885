"""The short way for POST /v1/chat/completions: an answer that is there already is sent before the framework wakes up.

Whatever is not plainly a hit goes on as it came: errors, misses and everything unusual are the route's. So nothing is refused here, and
nothing is answered that the route would refuse: both read the body by the same RequestParser.
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuneloop_server.body import LIMIT, SECONDS
from tuneloop_server.chat.caller import caller_of
from tuneloop_server.chat.parsing import RequestParser
from tuneloop_server.chat.service import CachedReply, ChatService
from tuneloop_server.chat.wire import Envelope, replayed
from tuneloop_server.errors import ApiError

EVENTS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""The last one is for nginx, which would hold a stream back until it ends or fills a buffer."""
PATH = "/v1/chat/completions"


class FastPath:
    """A middleware, inside the TenantMiddleware. Pure ASGI."""

    def __init__(self, app: ASGIApp, service: ChatService, parser: RequestParser) -> None:
        self._app = app
        self._service = service
        self._parser = parser

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        buffered = _BufferedBody(receive)
        cached_reply = await self._cached_reply(scope, buffered)
        if cached_reply is None:
            return await self._app(scope, buffered.replay, send)
        await _send(cached_reply, send)

    async def _cached_reply(self, scope: Scope, buffered: "_BufferedBody") -> CachedReply | None:
        try:
            async with asyncio.timeout(SECONDS):
                body = await buffered.body()
            return await self._service.cached_reply(self._parser.parse(body), caller_of(scope)) if body else None
        except TimeoutError:
            buffered.too_late = True
        except ApiError:
            pass
        return None


class _BufferedBody:
    """The body's messages, to be read here and once more by the application."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages: list[Message] = []
        self._given = 0
        self.too_late = False
        """All of the time that a body may take was spent here."""

    async def body(self) -> bytes:
        """Empty when it is too large or its client went away."""
        size = 0
        while True:
            message = await self._receive()
            self._messages.append(message)
            size += len(message.get("body", b""))
            if message["type"] != "http.request" or size > LIMIT:
                return b""
            if not message.get("more_body"):
                return b"".join(message.get("body", b"") for message in self._messages)

    async def replay(self) -> Message:
        if self._given < len(self._messages):
            self._given += 1
            return self._messages[self._given - 1]
        if self.too_late:
            raise TimeoutError
        return await self._receive()


async def _send(cached_reply: CachedReply, send: Send) -> None:
    request, turn = cached_reply.turn.parsed.request, cached_reply.turn
    envelope = Envelope(turn.id, turn.created, request.model, request.wants_usage)
    if request.stream:
        body, headers = replayed(envelope, cached_reply.answer), EVENTS | cached_reply.headers
    else:
        body, headers = envelope.whole(cached_reply.answer), {"Content-Type": "application/json"} | cached_reply.headers
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()] + [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": raw})
    await send({"type": "http.response.body", "body": body})
