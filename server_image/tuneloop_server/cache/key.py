"""Which requests have the same answer. Pure."""

import hashlib
import json
from dataclasses import asdict

from tuneloop_server.engine.base import Generation

KEY_VERSION = 1
"""Part of every key: raise it when the meaning of an entry changes."""


def cache_key(request: Generation, *, base_digest: str, adapter_digest: str, tenant: str) -> str:
    """Digests of contents, never names: new weights under an old name must miss. `adapter_digest` is "" for the base."""
    canonical = {
        "version": KEY_VERSION,
        "base": base_digest,
        "adapter": adapter_digest,
        "tenant": tenant,
        "messages": [[message.role, message.content] for message in request.messages],
        "sampling": asdict(request.sampling),
    }
    text = json.dumps(canonical, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return f"tuneloop:cache:{hashlib.sha256(text.encode()).hexdigest()}"
