"""Every error a client can meet, and OpenAI's body for it.

ApiError
├── BadRequest           400  edit the request
│   └── PromptTooLong    400  context_length_exceeded
├── Unauthorized         401  send a valid key
├── NotFound             404  ask for something that exists
├── RequestTimeout       408  send the body faster
├── RequestTooLarge      413  send less
├── TryLater             429  the queue is full, or the tenant's share of it
├── GenerationFailed     500  the engine broke on this request
├── Unavailable          503  this pod is going away, or a part that the request needs is
└── NotCached            504  ask without `only-if-cached`
"""

import logging
import traceback

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

log = logging.getLogger(__name__)

MESSAGE_LIMIT = 500

CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a client that hung up; only the log sees it."""


class ApiError(Exception):
    """An answer other than 200. The message goes to the client: no secret, no path of this machine."""

    status = 500
    type = "server_error"
    code: str | None = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code or self.code
        self.retry_after = retry_after

    def body(self) -> dict[str, object]:
        return {"error": {"message": str(self)[:MESSAGE_LIMIT], "type": self.type, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)} if self.retry_after else {}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body(), self.status, self.headers())


class BadRequest(ApiError):
    status, type = 400, "invalid_request_error"


class PromptTooLong(BadRequest):
    code = "context_length_exceeded"


class Unauthorized(ApiError):
    status, type, code = 401, "invalid_request_error", "invalid_api_key"

    def headers(self) -> dict[str, str]:
        """RFC 9110, section 11.6.1."""
        return {"WWW-Authenticate": "Bearer"}


class NotFound(ApiError):
    status, type = 404, "invalid_request_error"


class RequestTimeout(ApiError):
    status, type, code = 408, "invalid_request_error", "request_timeout"


class RequestTooLarge(ApiError):
    status, type, code = 413, "invalid_request_error", "request_too_large"


class TryLater(ApiError):
    status, type, code = 429, "rate_limit_error", "queue_full"


class GenerationFailed(ApiError):
    status, type, code = 500, "server_error", "generation_failed"


class Unavailable(ApiError):
    status, type, code = 503, "server_error", "unavailable"


class NotCached(ApiError):
    """RFC 9111, section 5.2.1.7."""

    status, type, code = 504, "invalid_request_error", "not_cached"

    def headers(self) -> dict[str, str]:
        """OpenAI's clients ask again after any 5xx, unless they are told that it is of no use."""
        return {"X-Should-Retry": "false"}


def may_go_better(error: Exception) -> bool:
    """When the same request is made again at once: where something broke, not where it was refused or told to come back later. Pure."""
    return isinstance(error, GenerationFailed) or not isinstance(error, ApiError)


def from_validation(fault: ValidationError) -> BadRequest:
    """The first fault, named by its path. The offending value is left out: it may be somebody's prompt."""
    first = fault.errors(include_input=False, include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return BadRequest(f"{path}: {message}" if path else message, param=path or None)


def install(app: FastAPI) -> None:
    """The one place where exceptions become answers."""

    @app.exception_handler(ApiError)
    async def ours(_: Request, error: ApiError) -> JSONResponse:
        return error.response()

    @app.exception_handler(HTTPException)
    async def of_the_framework(request: Request, error: HTTPException) -> JSONResponse:
        kind = NotFound if error.status_code == 404 else BadRequest
        answer = kind(f"{error.detail}: {request.method} {request.url.path}")
        return JSONResponse(answer.body(), error.status_code, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def in_the_middle_of_its_body(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=CLIENT_CLOSED_REQUEST)

    @app.exception_handler(RequestValidationError)
    async def of_a_query(_: Request, error: RequestValidationError) -> JSONResponse:
        return BadRequest("; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors())).response()

    @app.exception_handler(Exception)
    async def unknown(_: Request, error: Exception) -> JSONResponse:
        log.error("unexpected %s", without_texts(error))
        return GenerationFailed("internal error", code="internal_error").response()


def without_texts(error: BaseException) -> str:
    """Kind and place of an error, and of each of a group: its text may hold a prompt."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(without_texts(one) for one in error.exceptions)
    return f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}"
