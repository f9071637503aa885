"""What two requests must share before their last texts are compared; and which requests take no part at all. Pure."""

import hashlib
import json
from dataclasses import asdict

from tuneloop_server.cache.tiers import Lookup

VERSION = 1
"""Raise it when the meaning of an entry changes."""
LONGEST_HISTORY = 3
"""Messages before the last user text: a system prompt and one exchange. What came before is part of the partition, so longer
conversations would each make a partition of their own that nobody meets again; and what `and in winter?` refers to is ever less in
the last text. (Bifrost's default is 3 too, Portkey's is 4 messages in all.)"""
LONGEST_QUESTION = 1000
"""Characters. The guard reads questions; in a page of text it cannot tell which of two differing words turns the answer."""


def partition(lookup: Lookup, *, embedder: str, template: str) -> str | None:
    """A digest of the whole request but its last text, and of all that the answer depends on; None for a request that is never
    answered by likeness: sampled, without a question, with a long history or a long question."""
    if lookup.sampling.temperature != 0 or not lookup.question:
        return None
    if len(lookup.messages) - 1 > LONGEST_HISTORY or len(lookup.question) > LONGEST_QUESTION:
        return None
    shared = {
        "version": VERSION,
        "tenant": lookup.tenant,
        "base": lookup.base_digest,
        "adapter": lookup.adapter_digest,
        "embedder": embedder,
        "template": template,
        "history": [[message.role, message.content] for message in lookup.messages[:-1]],
        "sampling": asdict(lookup.sampling),
    }
    text = json.dumps(shared, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
