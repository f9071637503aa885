"""The two HTTP applications: the one that clients and the kubelet see, and the operator's read-only one."""

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from tuneloop_server import errors
from tuneloop_server.chat.fast_path import FastPath
from tuneloop_server.chat.routes import chat_routes
from tuneloop_server.completions.routes import completion_routes
from tuneloop_server.embeddings.routes import embeddings_routes
from tuneloop_server.feedback.routes import feedback_routes
from tuneloop_server.lifecycle import DrainMiddleware
from tuneloop_server.models.routes import model_routes
from tuneloop_server.parts import Parts
from tuneloop_server.status.routes import probe_routes, status_routes
from tuneloop_server.tenants.gate import TenantMiddleware


def create_app(parts: Parts) -> FastAPI:
    """OpenAI's API, probes and metrics. The middleware added last comes first: the fast path answers only whom the other two let in."""
    app = _bare()
    app.include_router(chat_routes(parts.chat, parts.parser))
    app.include_router(completion_routes(parts.chat, parts.settings.max_new_tokens))
    app.include_router(embeddings_routes(parts.embeddings))
    app.include_router(model_routes(parts.routing_table))
    app.include_router(feedback_routes(parts.feedback))
    app.include_router(probe_routes(parts.status, parts.lifecycle, parts.metrics))
    refused = parts.metrics.refused
    app.add_middleware(FastPath, service=parts.chat, parser=parts.parser)
    app.add_middleware(
        TenantMiddleware, tenants=parts.tenants, concurrency=parts.concurrency, on_refused=lambda reason: refused.labels(reason).inc()
    )
    app.add_middleware(DrainMiddleware, lifecycle=parts.lifecycle)
    return app


def create_status_app(parts: Parts) -> FastAPI:
    app = _bare()
    app.include_router(status_routes(parts.status))
    return app


class HeadAsGet:
    """What can be asked by GET can be asked by HEAD, as RFC 9110 has it and load balancers do; uvicorn leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope, receive, send)


def _bare() -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_middleware(HeadAsGet)
    errors.install(app)
    return app
