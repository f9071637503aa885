"""Which fold judges a conversation, where a domain has too few examples to hold any out. Pure."""

import hashlib


def fold_of(conversation: str, folds: int) -> int:
    """0 to folds - 1, always the same for a conversation: no two folds share one. With few conversations a fold may be empty."""
    return int.from_bytes(hashlib.sha256(conversation.encode()).digest()[:8]) % folds
