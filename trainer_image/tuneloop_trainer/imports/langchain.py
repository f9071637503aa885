"""LangChain's caches and histories: of langchain-redis (0.2), and those of langchain-community (0.4) that it replaced.

    llmcache:<sha256>                        RedisVL's; prompt: dumps(messages), response: list of dumps(generation); metadata: llm_string
    chat:<session>:<ulid>                    JSON {type, message_id, data: {content, ...}, session_id, timestamp}
    redis:<md5>:<md5>                        JSON list of generations, under digests of what was asked
    doc:cache:<md5>:<uuid>                   community: a hash; prompt llm_string return_val content_vector
    message_store:<session>                  community: a list of {type, data}, the newest first
    <md5>                                    community: a hash "0", "1", ... of generations, under a digest

`dumps` is LangChain's JSON: {"lc", "type", "id", "kwargs"}. Only `kwargs` is read, and no class is ever looked up by `id`.
"""

from pydantic import JsonValue

from tuneloop_trainer.curate.example import plain
from tuneloop_trainer.imports.layout import (
    JSON_KIND,
    NO_ANSWER,
    NO_PROMPT,
    ROLES,
    USER,
    Exchange,
    HistoryMessage,
    Imported,
    Message,
    RedisValue,
    Unusable,
    json_of,
    mapping,
    question,
    seconds_of,
    sequence,
    text_of,
)
from tuneloop_trainer.imports.redisvl import CACHED, cached, is_of_langchain, session_of

PREFIXES = ("llmcache:", "chat:", "redis:", "doc:cache:", "message_store:")


def semantic_cache(stored: RedisValue) -> Imported | None:
    if not stored.has(*CACHED) or not is_of_langchain(stored):
        return None
    generations = [json_of(text) for text in sequence(json_of(stored.text("response"))) if isinstance(text, str)]
    return (cached(stored, asked(stored.text("prompt")), answer_of(generations)),)


def community_semantic_cache(stored: RedisValue) -> Imported | None:
    if not stored.has("prompt", "llm_string", "return_val", "content_vector"):
        return None
    return (Exchange(asked(stored.text("prompt")), answer_of(sequence(json_of(stored.text("return_val"))))),)


def chat_history(stored: RedisValue) -> Imported | None:
    if stored.kind != JSON_KIND:
        return None
    document = mapping(json_of(text_of(stored.value)))
    session = document.get("session_id")
    if not isinstance(session, str) or not {"type", "data", "timestamp"} <= document.keys():
        return None
    return (HistoryMessage(session_of(stored.key, session), message_of(document["data"]), seconds_of(document["timestamp"])),)


def community_chat_history(stored: RedisValue) -> Imported | None:
    """Without any time: the order of the list is all there is."""
    documents = [mapping(json_of(text_of(item))) for item in reversed(stored.items)]
    if not documents or not all({"type", "data"} <= document.keys() for document in documents):
        return None
    return tuple(HistoryMessage(stored.key, message_of(document["data"]), place=n) for n, document in enumerate(documents))


def exact_cache(stored: RedisValue) -> Imported | None:
    """Of either package. Raises Unusable: the question is only there as a digest."""
    if stored.kind == JSON_KIND:
        generations = sequence(json_of(text_of(stored.value)))
    else:
        generations = [json_of(stored.text("0"))] if stored.has("0") else []
    if not generations or "lc" not in mapping(generations[0]):
        return None
    raise Unusable(NO_PROMPT)


def asked(prompt: str) -> tuple[Message, ...]:
    """The messages that `dumps` wrote; of a completion model, the prompt itself."""
    if not prompt.startswith("["):
        return question(prompt)
    try:
        parts = sequence(json_of(prompt))
    except Unusable:
        return question(prompt)
    written = [mapping(part) for part in parts]
    return tuple(message_of(part["kwargs"]) for part in written) if all("kwargs" in part for part in written) else question(prompt)


def message_of(kwargs: JsonValue) -> Message:
    """Of what a message was made from; the funnel refuses what is not text."""
    fields = mapping(kwargs)
    kind, calls = fields.get("type", USER), fields.get("tool_calls") or mapping(fields.get("additional_kwargs")).get("tool_calls")
    message: Message = {"role": ROLES.get(str(kind), str(kind)), "content": fields.get("content")}
    return message | ({"tool_calls": calls} if calls else {})


def answer_of(generations: list[JsonValue]) -> str:
    """The first generation's. Raises Unusable where it holds no text."""
    fields = mapping(mapping(generations[0]).get("kwargs")) if generations else {}
    message = mapping(mapping(fields.get("message")).get("kwargs"))
    answer = plain(message.get("content")) or fields.get("text")
    if not isinstance(answer, str) or not answer:
        raise Unusable(NO_ANSWER)
    return answer


LAYOUTS = (semantic_cache, community_semantic_cache, chat_history, community_chat_history, exact_cache)
