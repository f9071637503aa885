"""vLLM's semantic router (3d48f8c): the only cache that keeps OpenAI's request and response whole.

doc:<md5>                                    hash; request_id model query request_body response_body embedding timestamp ttl_seconds
vsr:response-cache:exact:v1:<sha256>         string; a response under a digest of the request
"""

from pydantic import JsonValue

from tuneloop_trainer.curate.example import plain
from tuneloop_trainer.imports.layout import (
    NO_ANSWER,
    NO_PROMPT,
    Exchange,
    Imported,
    Message,
    RedisValue,
    Unusable,
    json_of,
    mapping,
    question,
    sequence,
)

EXACT_PREFIX = "vsr:response-cache:exact:"
PREFIXES = ("doc:", EXACT_PREFIX)


def semantic_cache(stored: RedisValue) -> Imported | None:
    if not stored.has("request_id", "query", "request_body", "response_body", "timestamp"):
        return None
    if not stored.fields["response_body"]:
        raise Unusable(NO_ANSWER)
    request, response = (mapping(json_of(stored.text(name))) for name in ("request_body", "response_body"))
    answer, finish = first_choice(response)
    user = request.get("user")
    return (
        Exchange(
            messages_of(request) or question(stored.text("query")),
            answer,
            stored.seconds("timestamp"),
            user=user if isinstance(user, str) else "",
            finish=finish,
        ),
    )


def exact_cache(stored: RedisValue) -> Imported | None:
    if stored.kind == "string" and stored.key.startswith(EXACT_PREFIX):
        raise Unusable(NO_PROMPT)
    return None


def messages_of(request: dict[str, JsonValue]) -> tuple[Message, ...]:
    return tuple(mapping(message) for message in sequence(request.get("messages")))


def first_choice(response: dict[str, JsonValue]) -> tuple[str, str]:
    """Text and finish reason of an OpenAI chat completion. Raises Unusable where it has no text."""
    choice = mapping(next(iter(sequence(response.get("choices"))), None))
    answer = plain(mapping(choice.get("message")).get("content"))
    if not answer:
        raise Unusable(NO_ANSWER)
    return answer, str(choice.get("finish_reason") or "stop")


LAYOUTS = (semantic_cache, exact_cache)
