"""Who asks, and how, by the headers."""

from starlette.datastructures import Headers
from starlette.types import Scope

from tuneloop_server.cache.control import parse_cache_control
from tuneloop_server.chat.turn import Caller
from tuneloop_server.tenants.gate import tenant_of

TRACE_HEADERS = ("traceparent", "tracestate")


def caller_of(scope: Scope) -> Caller:
    """Of a request that came through the gate."""
    given = dict(Headers(scope=scope).items())  # once through all of them: there are six to look for
    return Caller(
        tenant=tenant_of(scope),
        tag=given.get("x-domain", "").strip(),
        conversation=given.get("x-conversation-id", ""),
        record=given.get("x-record", "").strip().lower() != "no",
        control=parse_cache_control(given.get("cache-control", "")),
        trace={name: given[name] for name in TRACE_HEADERS if name in given},
    )
