"""Where the server keeps answers to give them again, for those who must find one person's: the rest of an entry is the server's own.

tuneloop:cache:{KEY}         exact: a string
tuneloop:sem:{<target>}      semantic: a stream; an entry has the field `key`, and one with the field `forget` takes that key's away
"""

EXACT_PREFIX = "tuneloop:cache:"
KEY_FIELD, FORGET_FIELD = "key", "forget"


def exact_entry(key: str) -> str:
    """The braces keep an entry and its denial in one slot of a Redis Cluster."""
    return f"{EXACT_PREFIX}{{{key}}}"


def semantic_stream(target: str) -> str:
    return f"tuneloop:sem:{{{target}}}"


def key_of(interaction: str) -> str:
    """The cache's key in an interaction's id, `int-<time and randomness>[-<key>[-<origin>]]-<mark>`: of the entry that the answer
    made or came from. "" where the answer has nothing to do with the cache."""
    parts = interaction.split("-")
    return parts[2] if len(parts) in (4, 5) and parts[0] == "int" else ""
