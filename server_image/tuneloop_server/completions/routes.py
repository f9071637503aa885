"""POST /v1/completions."""

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from tuneloop_server.body import read_body
from tuneloop_server.chat.caller import caller_of
from tuneloop_server.chat.parsing import ParsedRequest
from tuneloop_server.chat.routes import answer
from tuneloop_server.chat.service import ChatService
from tuneloop_server.completions.protocol import CompletionRequest
from tuneloop_server.completions.wire import TextEnvelope


def completion_routes(service: ChatService, most_tokens: int) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/completions")
    async def complete(request: Request) -> Response:
        parsed = ParsedRequest.of(await read_body(request, CompletionRequest), most_tokens)
        caller = replace(caller_of(request.scope), record=False)
        return await answer(request, service, parsed, caller, TextEnvelope)

    return router
