"""Nobody comes past it to the API without a tenant and a place. Pure ASGI, so that streams pass untouched."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tuneloop_server.errors import ApiError
from tuneloop_server.lifecycle import GUARDED
from tuneloop_server.tenants.keys import Tenants
from tuneloop_server.tenants.limit import Concurrency


class TenantMiddleware:
    """The middleware: everything under /v1/ lies behind it, so that no route can forget to ask."""

    def __init__(self, app: ASGIApp, tenants: Tenants, concurrency: Concurrency, on_refused: Callable[[str], None]) -> None:
        self._app = app
        self._tenants = tenants
        self._concurrency = concurrency
        self._on_refused = on_refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(GUARDED):
            return await self._app(scope, receive, send)
        try:
            tenant = self._tenants.of(Headers(scope=scope).get("authorization"))
            self._concurrency.enter(tenant)
        except ApiError as refused:
            self._on_refused(refused.code or refused.type)
            return await refused.response()(scope, receive, send)
        try:
            scope.setdefault("state", {})["tenant"] = tenant
            await self._app(scope, receive, send)
        finally:
            self._concurrency.leave(tenant)


def tenant_of(scope: Scope) -> str:
    """Who asks, of a request that came through the gate."""
    return str(scope["state"]["tenant"])
