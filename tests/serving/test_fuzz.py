"""Whatever comes in, what goes out is an answer or an error as OpenAI's servers send it: never a 500, never another shape.

The requests are drawn from our own pydantic models by schemathesis, good ones and broken ones; always the same, so that this test says
the same on every machine. The OpenAPI document is for this test only: the server publishes none.
"""

import json
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types import Completion
from openai.types.chat import ChatCompletion
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from serverprocess import ServerProcess
from tinymodel import TINY
from tuneloop_contracts.names import AUTO
from tuneloop_server.chat.protocol import ChatRequest
from tuneloop_server.completions.protocol import CompletionRequest
from tuneloop_server.embeddings.protocol import EmbeddingsRequest
from tuneloop_server.feedback.protocol import FeedbackAccepted, FeedbackRequest
from tuneloop_server.models.protocol import Model, ModelList
from tuneloop_server.semcache.embed.static import StaticEmbedder

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ANSWERS: dict[str, type[BaseModel]] = {"/v1/chat/completions": ChatCompletion, "/v1/completions": Completion}
KEY = {"Authorization": "Bearer key-a"}
REFERENCE = "#/components/schemas/{model}"
NAMES = [TINY, AUTO, "support", "gpt-4"]
ERROR = {
    "type": "object", "required": ["error"], "additionalProperties": False,
    "properties": {"error": {
        "type": "object", "required": ["message", "type", "param", "code"], "additionalProperties": False,
        "properties": {
            "message": {"type": "string", "minLength": 1}, "type": {"type": "string"},
            "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]},
        },
    }},
}  # fmt: skip


def document() -> dict[str, Any]:
    asked = (ChatRequest, CompletionRequest, EmbeddingsRequest, FeedbackRequest)
    kinds: tuple[type[BaseModel], ...] = (*asked, FeedbackAccepted, Model, ModelList)
    _, schemas = models_json_schema([(kind, "validation") for kind in kinds], ref_template=REFERENCE)
    defined = schemas["$defs"]
    for kind in ("ChatRequest", "CompletionRequest"):
        defined[kind]["properties"]["model"] = {"enum": NAMES}  # or hardly any request would come further than to a 404
        defined[kind]["properties"]["max_tokens"] = {"type": "integer", "maximum": 8}
        defined[kind]["required"].append("max_tokens")
    defined["EmbeddingsRequest"]["properties"]["model"] = {"enum": [StaticEmbedder.name, "ada"]}
    defined["ChatMessage"]["properties"]["role"] = {"enum": ["system", "developer", "user", "assistant"]}
    headers = [{"name": "X-Domain", "in": "header", "schema": {"enum": ["support", "", "nowhere"]}}, header("X-Conversation-Id")]
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    paths = {
        "/v1/chat/completions": {"post": operation(body="ChatRequest", parameters=[*headers, header("X-Record")])},
        "/v1/completions": {"post": operation(body="CompletionRequest", parameters=headers)},
        "/v1/embeddings": {"post": operation(body="EmbeddingsRequest")},
        "/v1/feedback": {"post": operation(body="FeedbackRequest", answer="FeedbackAccepted")},
        "/v1/models": {"get": operation(answer="ModelList")},
        "/v1/models/{name}": {"get": operation(answer="Model", parameters=[name])},
    }
    return {"openapi": "3.1.0", "info": {"title": "ours", "version": "1"}, "paths": paths, "components": {"schemas": defined}}


def header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": {"type": "string"}}


def operation(*, body: str = "", answer: str = "", parameters: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    good = {"application/json": {"schema": {"$ref": REFERENCE.format(model=answer)} if answer else {}}}
    streamed: dict[str, Any] = {} if answer else {"text/event-stream": {}}
    said = {
        "200": {"description": "an answer", "content": good | streamed},
        "4XX": {"description": "an error", "content": {"application/json": {"schema": ERROR}}},
    }
    asked = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": REFERENCE.format(model=body)}}}}}
    return {"responses": said, "parameters": parameters or []} | (asked if body else {})


def bounded(examples: int) -> settings:
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much, HealthCheck.too_slow],
    )  # fmt: skip


schema = schemathesis.openapi.from_dict(document())


@schema.parametrize()
@bounded(100)
def test_requests_from_the_schema_and_from_beside_it(case: schemathesis.Case, tiny_server: ServerProcess) -> None:
    response = case.call(base_url=tiny_server.url, headers=KEY, timeout=60)
    case.validate_response(response, checks=CHECKS)
    if case.path in ANSWERS and response.status_code == 200:
        check_answer(response.headers["content-type"][0], response.content, ANSWERS[case.path])


def check_answer(media_type: str, content: bytes, kind: type[BaseModel]) -> None:
    if media_type.startswith("text/event-stream"):
        assert content.endswith(b"data: [DONE]\n\n")
    else:
        kind.model_validate_json(content)


GOOD = json.dumps({"model": TINY, "messages": [{"role": "user", "content": "olá 🎉"}], "max_tokens": 2, "stop": ["x"]}, ensure_ascii=False)


@given(st.integers(0, len(GOOD.encode())), st.integers(0, 4), st.binary(max_size=6))
@bounded(200)
def test_bytes_that_got_into_a_good_request(tiny_server: ServerProcess, at: int, lost: int, put: bytes) -> None:
    raw = GOOD.encode()
    answer = httpx.post(f"{tiny_server.url}/v1/chat/completions", content=raw[:at] + put + raw[at + lost :], headers=KEY, timeout=60)
    assert answer.status_code in (200, 400, 404)
    if answer.status_code != 200:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
