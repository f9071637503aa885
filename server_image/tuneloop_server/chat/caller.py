"""Who asks, and how, by the headers."""

from starlette.datastructures import Headers

from tuneloop_server.cache.control import parse_cache_control
from tuneloop_server.chat.turn import Caller
from tuneloop_server.tenants import Tenants


def caller_of(headers: Headers, tenants: Tenants) -> Caller:
    """Raises Unauthorized."""
    given = dict(headers.items())  # once through all of them: there are five to look for
    return Caller(
        tenant=tenants.of(given.get("authorization")),
        tag=given.get("x-domain", "").strip(),
        conversation=given.get("x-conversation-id", ""),
        record=given.get("x-record", "").strip().lower() != "no",
        control=parse_cache_control(given.get("cache-control", "")),
    )
