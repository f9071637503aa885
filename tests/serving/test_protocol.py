"""What may be left out of a request may also be null, as clients that send all they know have it."""

from typing import Any

import pytest
from pydantic import BaseModel

from tuneloop_server.chat.protocol import ChatRequest, StreamOptions
from tuneloop_server.completions.protocol import CompletionRequest
from tuneloop_server.embeddings.protocol import EmbeddingsRequest
from tuneloop_server.feedback.protocol import FeedbackRequest


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        (ChatRequest, {"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
        (StreamOptions, {}),
        (CompletionRequest, {"model": "m", "prompt": "hi"}),
        (EmbeddingsRequest, {"model": "m", "input": "hi"}),
        (FeedbackRequest, {"interaction_id": "int-1", "rating": "up"}),
    ],
)
def test_null_is_nothing(kind: type[BaseModel], least: dict[str, Any]) -> None:
    nulls = {name: None for name, field in kind.model_fields.items() if not field.is_required()}
    assert nulls
    kind.model_validate(least | nulls)
