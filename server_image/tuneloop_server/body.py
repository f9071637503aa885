"""Reads a request's body, with limits, into one of our values."""

import asyncio
import json
import re
from typing import Any, Never, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from tuneloop_server.errors import BadRequest, RequestTimeout, RequestTooLarge, from_validation

LIMIT = 2**20
"""Bytes: far more than any context we serve can read."""
SECONDS = 30.0
"""For the whole body: a megabyte at 0.3 Mbit/s. Who sends nothing would keep a place, and the end of this pod, waiting."""
_GZIP = b"\x1f\x8b"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, kind: type[Body]) -> Body:
    """Raises RequestTooLarge, RequestTimeout or BadRequest."""
    return parse(await read_bytes(request), kind)


async def read_bytes(request: Request) -> bytes:
    """No more than LIMIT is ever held. Raises RequestTooLarge or RequestTimeout."""
    raw = bytearray()
    if int(request.headers.get("content-length") or 0) > LIMIT:
        raise _too_large()
    try:
        async with asyncio.timeout(SECONDS):
            async for part in request.stream():
                raw += part
                if len(raw) > LIMIT:
                    raise _too_large()
    except TimeoutError as error:
        raise RequestTimeout(f"the body did not arrive within {SECONDS:.0f} s") from error
    return bytes(raw)


def parse(raw: bytes, kind: type[Body]) -> Body:
    """Raises BadRequest."""
    try:
        return kind.model_validate(parse_object(raw))
    except ValidationError as error:
        raise from_validation(error) from error


def parse_object(raw: bytes) -> dict[str, Any]:
    """A JSON object as RFC 8259 has it, in UTF-8, whose strings are text. Pure. Raises BadRequest."""
    try:
        value = json.loads(raw.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        what = "compressed: send it without Content-Encoding" if raw.startswith(_GZIP) else "not JSON"
        raise BadRequest(f"the body is {what}") from error
    if not isinstance(value, dict):
        raise BadRequest("the body is not a JSON object")
    if _SURROGATE.search(raw) and not _is_text(value):
        raise BadRequest("the body holds half of a surrogate pair, which is not text")
    return value


def _is_text(value: dict[str, Any]) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def _no_number(name: str) -> Never:
    """Python's own JSON knows NaN and Infinity; nobody else's does."""
    raise ValueError(name)


def _too_large() -> RequestTooLarge:
    return RequestTooLarge(f"the body is larger than {LIMIT} bytes")
