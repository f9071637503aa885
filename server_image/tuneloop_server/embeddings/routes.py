"""POST /v1/embeddings."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from tuneloop_server.body import read_body
from tuneloop_server.embeddings.protocol import EmbeddingsRequest, embeddings
from tuneloop_server.embeddings.service import EmbeddingsService


def embeddings_routes(service: EmbeddingsService) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/embeddings")
    async def embed(request: Request) -> JSONResponse:
        asked = await read_body(request, EmbeddingsRequest)
        rows, tokens = await service.embed(asked)
        return JSONResponse(embeddings(model=asked.model, rows=rows, encoding=asked.encoding_format, tokens=tokens))

    return router
