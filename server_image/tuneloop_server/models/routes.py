"""GET /v1/models and /v1/models/{id}."""

import time
from collections.abc import Callable

from fastapi import APIRouter

from tuneloop_server.models.protocol import Model, ModelList
from tuneloop_server.models.service import find_model, list_models
from tuneloop_server.routing import RoutingTable


def model_routes(table: Callable[[], RoutingTable]) -> APIRouter:
    router = APIRouter()
    created = int(time.time())

    @router.get("/v1/models")
    async def models() -> ModelList:
        return list_models(table(), created)

    @router.get("/v1/models/{name:path}")
    async def model(name: str) -> Model:
        return find_model(name, table(), created)

    return router
