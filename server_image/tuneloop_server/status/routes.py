"""The operator's port, and the kubelet's and Prometheus' questions. GET only: nothing here changes anything."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from tuneloop_contracts.pods import ADAPTERS_PATH, RECORDED_PATH
from tuneloop_server.lifecycle import Lifecycle
from tuneloop_server.metrics import Metrics
from tuneloop_server.status.service import StatusService, parse_wait


def status_routes(service: StatusService) -> APIRouter:
    router = APIRouter()

    @router.get(ADAPTERS_PATH)
    async def adapters(seen: Annotated[int | None, Query()] = None, wait: str = "0s") -> dict[str, Any]:
        report = await service.adapters(seen, parse_wait(wait))
        return report.to_wire()

    @router.get(RECORDED_PATH)
    async def recorded() -> dict[str, Any]:
        report = await service.recorded()
        return report.to_wire()

    return router


def probe_routes(service: StatusService, lifecycle: Lifecycle, metrics: Metrics) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz")
    async def healthz() -> Response:
        return Response("the engine broke", 503, media_type="text/plain") if service.broken else Response("ok", media_type="text/plain")

    @router.get("/readyz")
    async def readyz() -> Response:
        if lifecycle.draining:
            return Response("draining", 503, media_type="text/plain")
        return Response("ready", media_type="text/plain") if service.ready else Response("loading adapters", 503, media_type="text/plain")

    @router.get("/metrics")
    async def scrape() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router
