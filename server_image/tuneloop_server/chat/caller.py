"""Who asks, and how, by the headers."""

from starlette.datastructures import Headers
from starlette.types import Scope

from tuneloop_server.cache.control import parse_cache_control
from tuneloop_server.chat.turn import Caller
from tuneloop_server.tenants.gate import tenant_of

TRACE_HEADERS = ("traceparent", "tracestate")
NOT_RECORDED = {"no", "false", "off", "0"}
"""What X-Record may say; who did not say it in our word still meant it."""


def caller_of(scope: Scope) -> Caller:
    """Of a request that came through the gate."""
    given: dict[str, str] = {}
    for name, value in Headers(scope=scope).items():  # once through all of them: there are six to look for
        given[name] = f"{given[name]},{value}" if name in given else value  # RFC 9110, section 5.3
    return Caller(
        tenant=tenant_of(scope),
        tag=given.get("x-domain", "").strip(),
        conversation=given.get("x-conversation-id", ""),
        record=NOT_RECORDED.isdisjoint(given.get("x-record", "").lower().replace(" ", "").split(",")),
        control=parse_cache_control(given.get("cache-control", "")),
        trace={name: given[name] for name in TRACE_HEADERS if name in given},
    )
