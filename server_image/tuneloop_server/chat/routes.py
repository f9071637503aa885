"""POST /v1/chat/completions."""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tuneloop_server.body import read_bytes
from tuneloop_server.chat.caller import caller_of
from tuneloop_server.chat.fast_path import EVENTS, PATH
from tuneloop_server.chat.parsing import ParsedRequest, RequestParser
from tuneloop_server.chat.service import ChatService, Reply
from tuneloop_server.chat.turn import Caller
from tuneloop_server.chat.wire import Envelope, events
from tuneloop_server.errors import CLIENT_CLOSED_REQUEST

T = TypeVar("T")


def chat_routes(service: ChatService, parser: RequestParser) -> APIRouter:
    router = APIRouter()

    @router.post(PATH)
    async def chat(request: Request) -> Response:
        caller = caller_of(request.scope)
        return await answer(request, service, parser.parse(await read_bytes(request)), caller, Envelope)

    return router


async def answer(request: Request, service: ChatService, parsed: ParsedRequest, caller: Caller, envelope: type[Envelope]) -> Response:
    """Streamed or in one piece, as it was asked for."""
    work = in_a_stream if parsed.request.stream else in_one_piece
    answered = await unless_gone(request, work(service, parsed, caller, envelope))
    return answered or Response(status_code=CLIENT_CLOSED_REQUEST)


async def in_a_stream(service: ChatService, parsed: ParsedRequest, caller: Caller, envelope: type[Envelope]) -> Response:
    return AnswerStream(await service.reply(parsed, caller), envelope)


async def in_one_piece(service: ChatService, parsed: ParsedRequest, caller: Caller, envelope: type[Envelope]) -> Response:
    reply = await service.reply(parsed, caller)
    try:
        answer = await reply.answer()
    finally:
        reply.close()
    return Response(_filled(envelope, reply).whole(answer), headers=reply.headers, media_type="application/json")


class AnswerStream(StreamingResponse):
    """Server-sent events; frees the row as soon as the client is gone, also when it never took the first event."""

    def __init__(self, reply: Reply, envelope: type[Envelope]) -> None:
        self._reply = reply
        stream = events(_filled(envelope, reply), reply.pieces, reply.prompt_tokens)
        super().__init__(stream, headers=EVENTS | reply.headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pieces: Any = self._reply.pieces
        try:
            async with aclosing(pieces):
                await super().__call__(scope, receive, send)
        finally:
            self._reply.close()


def _filled(envelope: type[Envelope], reply: Reply) -> Envelope:
    request = reply.turn.parsed.request
    return envelope(reply.turn.id, reply.turn.created, request.model, request.wants_usage)


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
