"""POST /v1/feedback."""

from fastapi import APIRouter, Request

from tuneloop_server.body import read_body
from tuneloop_server.feedback.protocol import FeedbackAccepted, FeedbackRequest
from tuneloop_server.feedback.service import FeedbackService
from tuneloop_server.tenants.gate import tenant_of


def feedback_routes(service: FeedbackService) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/feedback")
    async def feedback(request: Request) -> FeedbackAccepted:
        said = await read_body(request, FeedbackRequest)
        await service.take(said, tenant_of(request.scope))
        return FeedbackAccepted(interaction_id=said.interaction_id, rating=said.rating)

    return router
