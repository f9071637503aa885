"""RedisVL (0.28): SemanticCache and MessageHistory, hashes both.

    <name>:<sha256>                              prompt response prompt_vector inserted_at updated_at entry_id [metadata] [filters...]
    <name>:<session_tag>:<time>:<8 hex digits>   role content session_tag timestamp entry_id [tool_call_id] [metadata]

A cache's filters are fields of their own, named by its owner; `tenant`, `tenant_id`, `user` and `user_id` are understood.
"""

from tuneloop_trainer.imports.layout import ROLES, Exchange, HistoryMessage, Imported, Message, RedisValue, json_of, mapping, question

PREFIXES = ("llmcache:",)
CACHED = ("prompt", "response", "prompt_vector", "inserted_at")
REMEMBERED = ("role", "content", "session_tag", "timestamp")


def semantic_cache(stored: RedisValue) -> Imported | None:
    if not stored.has(*CACHED) or is_of_langchain(stored) or is_of_litellm(stored):
        return None
    return (cached(stored, question(stored.text("prompt")), stored.text("response")),)


def cached(stored: RedisValue, messages: tuple[Message, ...], answer: str) -> Exchange:
    """With what every SemanticCache keeps beside question and answer."""
    return Exchange(messages, answer, stored.seconds("inserted_at"), _either(stored, "tenant"), _either(stored, "user"))


def message_history(stored: RedisValue) -> Imported | None:
    if not stored.has(*REMEMBERED):
        return None
    role = stored.text("role")
    message: Message = {"role": ROLES.get(role, role), "content": stored.text("content")}
    return (HistoryMessage(session_of(stored.key, stored.text("session_tag")), message, stored.seconds("timestamp")),)


def session_of(key: str, session: str) -> str:
    """With the name of the history, so that the same session of another one is another."""
    return key.partition(f":{session}:")[0] + f":{session}"


def is_of_langchain(stored: RedisValue) -> bool:
    """langchain-redis keeps the model's settings in the metadata, and JSON in prompt and response."""
    return stored.has("metadata") and "llm_string" in mapping(json_of(stored.text("metadata")))


def is_of_litellm(stored: RedisValue) -> bool:
    """LiteLLM filters by the digest of the request's parameters."""
    return stored.has("litellm_cache_key")


def _either(stored: RedisValue, name: str) -> str:
    return next((stored.text(field) for field in (name, f"{name}_id") if field in stored.fields), "")


LAYOUTS = (semantic_cache, message_history)
