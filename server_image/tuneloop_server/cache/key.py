"""Which requests have the same answer. Pure."""

import hashlib
import json
from collections.abc import Sequence

from tuneloop_server.engine.base import Message, Sampling

KEY_VERSION = 3
"""Part of every key: raise it when the meaning of an entry changes."""
DIGITS = 32
"""Hex digits of a key: 128 bits. It travels in interaction ids, so shorter is better; and only a tenant's own requests can meet."""


def request_digest(messages: Sequence[Message], sampling: Sampling) -> str:
    """Of the canonical request: what was read of the body, so that its form (streamed or not, parts or a string) does not count."""
    canonical = {
        "messages": [[message.role, message.content] for message in messages],
        "sampling": [sampling.max_tokens, float(sampling.temperature), float(sampling.top_p), list(sampling.stop), sampling.seed],
    }
    return hashlib.sha256(json.dumps(canonical, separators=(",", ":")).encode()).hexdigest()


def exact_key(request: str, *, base_digest: str, template: str, adapter_digest: str, tenant: str) -> str:
    """Digests of contents, never names: new weights under an old name must miss. `adapter_digest` is "" for the base."""
    parts = json.dumps([KEY_VERSION, base_digest, template, adapter_digest, tenant, request])
    return hashlib.sha256(parts.encode()).hexdigest()[:DIGITS]
