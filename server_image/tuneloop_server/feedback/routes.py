"""POST /v1/feedback."""

from fastapi import APIRouter, Request

from tuneloop_server.body import read_body
from tuneloop_server.feedback.protocol import FeedbackAccepted, FeedbackRequest
from tuneloop_server.feedback.service import FeedbackService
from tuneloop_server.tenants import Tenants


def feedback_routes(service: FeedbackService, tenants: Tenants) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/feedback")
    async def feedback(request: Request) -> FeedbackAccepted:
        tenant = tenants.of(request.headers.get("authorization"))
        said = await read_body(request, FeedbackRequest)
        await service.take(said, tenant)
        return FeedbackAccepted(interaction_id=said.interaction_id, rating=said.rating)

    return router
