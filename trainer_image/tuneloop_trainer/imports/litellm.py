"""LiteLLM's (1.110) semantic caches.

    litellm_semantic_cache_index[_isolated]:<sha256>                 redis-semantic: RedisVL's hash, and litellm_cache_key
    litellm_semantic_cache_index:<sha256>:<uuid>                     valkey-semantic: litellm_cache_key prompt response embedding
    [<namespace>:]<sha256>                                           redis: a string, under a digest of what was asked

`prompt` is the text of all messages in one piece, without roles: it is taken as one question. `response` is Python's way of writing
{'timestamp': ..., 'response': '<JSON of a chat completion>'}, or JSON itself; only the two values in it are read.
"""

import ast
import re

from tuneloop_trainer.imports.layout import (
    NO_PROMPT,
    NOT_TEXT,
    Exchange,
    Imported,
    RedisValue,
    Unusable,
    json_of,
    mapping,
    question,
    seconds_of,
    text_of,
)
from tuneloop_trainer.imports.semantic_router import first_choice

PREFIXES = ("litellm_semantic_cache_index",)
_REPR = re.compile(r"""\{'timestamp': (?P<at>[\d.e+]+), 'response': (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\}""", re.DOTALL)


def semantic_cache(stored: RedisValue) -> Imported | None:
    if not stored.has("litellm_cache_key", "prompt", "response"):
        return None
    at, completion = parts_of(stored.text("response"))
    answer, finish = first_choice(mapping(json_of(completion)))
    return (Exchange(question(stored.text("prompt")), answer, at or stored.seconds("inserted_at"), finish=finish),)


def exact_cache(stored: RedisValue) -> Imported | None:
    if stored.kind != "string":
        return None
    parts_of(text_of(stored.value))
    raise Unusable(NO_PROMPT)


def parts_of(written: str) -> tuple[float | None, str]:
    """Time and completion of either way of writing. Of Python's, a string literal alone is decoded: no expression is looked at."""
    if match := _REPR.fullmatch(written):
        try:
            return seconds_of(match["at"]), str(ast.literal_eval(match["text"]))
        except (ValueError, SyntaxError):
            raise Unusable(NOT_TEXT) from None
    fields = mapping(json_of(written))
    completion = fields.get("response")
    if not isinstance(completion, str):
        raise Unusable(NOT_TEXT)
    return seconds_of(fields.get("timestamp")), completion


LAYOUTS = (semantic_cache, exact_cache)
