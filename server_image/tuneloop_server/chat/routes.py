"""POST /v1/chat/completions."""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from tuneloop_server.body import read_body
from tuneloop_server.chat.protocol import ChatRequest, completion, usage
from tuneloop_server.chat.service import ChatService, Reply
from tuneloop_server.chat.sse import Envelope, events
from tuneloop_server.chat.turn import Caller
from tuneloop_server.tenants import Tenants

T = TypeVar("T")

CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a client that hung up; only the log sees it."""


def chat_routes(service: ChatService, tenants: Tenants) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        caller = caller_of(request, tenants)
        asked = await read_body(request, ChatRequest)
        if asked.stream:
            reply = await service.reply(asked, caller)
            return AnswerStream(reply, asked)
        answered = await unless_gone(request, whole(service, asked, caller))
        return answered or Response(status_code=CLIENT_CLOSED_REQUEST)

    return router


def caller_of(request: Request, tenants: Tenants) -> Caller:
    """Raises Unauthorized."""
    headers = request.headers
    return Caller(
        tenant=tenants.of(headers.get("authorization")),
        tag=headers.get("x-domain", "").strip(),
        conversation=headers.get("x-conversation-id", ""),
        record=headers.get("x-record", "").strip().lower() != "no",
    )


async def whole(service: ChatService, asked: ChatRequest, caller: Caller) -> Response:
    """The answer in one piece."""
    reply = await service.reply(asked, caller)
    try:
        pieces = [piece async for piece in reply.pieces]
    finally:
        reply.close()
    used = usage(reply.prompt_tokens, sum(piece.tokens for piece in pieces))
    text = "".join(piece.text for piece in pieces)
    turn = reply.turn
    body = completion(id=turn.id, created=turn.created, model=asked.model, text=text, finish=pieces[-1].finish, used=used)
    return JSONResponse(body, headers=reply.headers)


class AnswerStream(StreamingResponse):
    """Server-sent events; frees the row as soon as the client is gone, also when it never took the first event."""

    def __init__(self, reply: Reply, asked: ChatRequest) -> None:
        self._reply = reply
        envelope = Envelope(reply.turn.id, reply.turn.created, asked.model)
        stream = events(envelope, reply.pieces, reply.prompt_tokens, with_usage=asked.wants_usage)
        super().__init__(stream, headers=reply.headers | {"Cache-Control": "no-cache"}, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pieces: Any = self._reply.pieces
        try:
            async with aclosing(pieces):
                await super().__call__(scope, receive, send)
        finally:
            self._reply.close()


async def unless_gone(request: Request, work: Awaitable[T]) -> T | None:
    """The result, or None after cancelling the work because the client hung up."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    """The body has been read: what comes next can only be the end."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
