"""Feedback on the wire."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class FeedbackRequest(BaseModel):
    interaction_id: Annotated[str, Field(max_length=128)]
    """The X-Interaction-Id of the answer; also the completion's `id`."""
    rating: Literal["up", "down"]
    correction: Annotated[str, Field(max_length=32_000)] | None = None
    """The answer that should have been given."""
    comment: Annotated[str, Field(max_length=2000)] | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    """Who says so, as in the request; kept as a keyed hash."""


class FeedbackAccepted(BaseModel):
    object: str = "feedback"
    interaction_id: str
    rating: str
