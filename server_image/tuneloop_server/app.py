"""The two HTTP applications: the one that clients and the kubelet see, and the operator's read-only one."""

from fastapi import FastAPI

from tuneloop_server import errors
from tuneloop_server.chat.door import Door
from tuneloop_server.chat.routes import chat_routes
from tuneloop_server.feedback.routes import feedback_routes
from tuneloop_server.lifecycle import Guard
from tuneloop_server.models.routes import model_routes
from tuneloop_server.parts import Parts
from tuneloop_server.status.routes import probe_routes, status_routes


def create_app(parts: Parts) -> FastAPI:
    """OpenAI's API, probes and metrics. Of the middlewares, the last added comes first: the door answers only what the guard lets in."""
    app = _bare()
    app.include_router(chat_routes(parts.chat, parts.tenants, parts.readings))
    app.include_router(model_routes(parts.world, parts.tenants))
    app.include_router(feedback_routes(parts.feedback, parts.tenants))
    app.include_router(probe_routes(parts.status, parts.lifecycle, parts.metrics))
    app.add_middleware(Door, service=parts.chat, tenants=parts.tenants, readings=parts.readings)
    app.add_middleware(Guard, lifecycle=parts.lifecycle)
    return app


def create_status_app(parts: Parts) -> FastAPI:
    app = _bare()
    app.include_router(status_routes(parts.status))
    return app


def _bare() -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    errors.install(app)
    return app
