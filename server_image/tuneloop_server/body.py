"""Reads a request's body, with a limit, into one of our values."""

import json
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from tuneloop_server.errors import BadRequest, TooLarge, from_validation

LIMIT = 2**20
"""Bytes: far more than any context we serve can read."""

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, kind: type[Body]) -> Body:
    """Raises TooLarge or BadRequest."""
    return parse(await read_bytes(request), kind)


async def read_bytes(request: Request) -> bytes:
    """Raises TooLarge."""
    raw = bytearray()
    if int(request.headers.get("content-length") or 0) > LIMIT:
        raise _too_large()
    async for part in request.stream():
        raw += part
        if len(raw) > LIMIT:
            raise _too_large()
    return bytes(raw)


def parse(raw: bytes, kind: type[Body]) -> Body:
    """Raises BadRequest."""
    try:
        value = json.loads(raw)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair passes for text until somebody encodes it
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is not JSON, or its text is not Unicode") from error
    if not isinstance(value, dict):
        raise BadRequest("the body is not a JSON object")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise from_validation(error) from error


def _too_large() -> TooLarge:
    return TooLarge(f"the body is larger than {LIMIT} bytes")
