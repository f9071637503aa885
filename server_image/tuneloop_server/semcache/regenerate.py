"""What the engine answers to a request that was answered from the cache, by the weights of then."""

from tuneloop_server.adapters.entry import AdapterLease
from tuneloop_server.adapters.service import AdapterService
from tuneloop_server.cache.tiers import Lookup
from tuneloop_server.engine.base import Engine, Generation
from tuneloop_server.errors import Unavailable


async def regenerate(engine: Engine, adapters: AdapterService, lookup: Lookup) -> str:
    """Raises ApiError; Unavailable when those weights are gone."""
    lease = _hold(adapters, lookup.adapter_digest) if lookup.adapter_digest else None
    try:
        answer = await engine.generate(Generation(lookup.messages, lookup.sampling, lease.handle if lease else None))
        try:
            return "".join([piece.text async for piece in answer.pieces()])
        finally:
            answer.cancel()
    finally:
        if lease:
            lease.release()


def _hold(adapters: AdapterService, digest: str) -> AdapterLease:
    """Whatever the revision with these weights is called."""
    for name, adapter in adapters.loaded().items():
        if adapter.digest == digest:
            return adapters.hold(name)
    raise Unavailable("the adapter that answered is gone")
