"""GPTCache (0.1.44) with its scalar store in Redis, by redis-om.

gptcache:questions:<n>      JSON {pk, question, create_on, last_access, deleted, answers: [{answer, answer_type}], deps, embedding}
gptcache:counter, gptcache:sessions:*, gptcache:report:*      no questions
"""

from datetime import UTC, datetime

from pydantic import JsonValue

from tuneloop_trainer.imports.layout import (
    DELETED,
    JSON_KIND,
    NO_ANSWER,
    Exchange,
    Imported,
    RedisValue,
    Unusable,
    json_of,
    mapping,
    question,
    sequence,
    text_of,
)

PREFIXES = ("gptcache:",)
TEXT = 0
"""Of `answer_type`: the others are paths and addresses of pictures."""


def questions(stored: RedisValue) -> Imported | None:
    if stored.kind != JSON_KIND:
        return None
    document = mapping(json_of(text_of(stored.value)))
    asked = document.get("question")
    if not isinstance(asked, str) or not {"answers", "deleted", "create_on"} <= document.keys():
        return None
    if document["deleted"]:
        raise Unusable(DELETED)
    return (Exchange(question(asked), _answer(sequence(document["answers"])), _moment(document["create_on"])),)


def _answer(answers: list[JsonValue]) -> str:
    texts = [mapping(one).get("answer") for one in answers if mapping(one).get("answer_type") == TEXT]
    first = next((text for text in texts if isinstance(text, str) and text), None)
    if first is None:
        raise Unusable(NO_ANSWER)
    return first


def _moment(written: JsonValue) -> float | None:
    """`datetime.utcnow()` in ISO 8601, so without an offset."""
    try:
        return datetime.fromisoformat(str(written)).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


LAYOUTS = (questions,)
