"""OpenAI's format for fine-tuning on chats, both ways. Pure.

A line is `{"messages": [{"role", "content"}, ...]}`; of an assistant's message `"weight": 0` says that it is read and not learned.
https://platform.openai.com/docs/guides/supervised-fine-tuning
"""

import json

from tuneloop_trainer.curate.example import plain
from tuneloop_trainer.imports.layout import ASSISTANT, NOT_TEXT, Exchange, Unusable, json_of, mapping, sequence
from tuneloop_trainer.rows import Row

NO_MESSAGES = "no messages"
NOTHING_TO_LEARN = "no answer to learn"


def exchanges_of(line: str, session: str) -> tuple[Exchange, ...]:
    """Each answer of a conversation that is to be learned, with what was said before it. Raises Unusable."""
    messages = [mapping(message) for message in sequence(mapping(json_of(line)).get("messages"))]
    if not messages:
        raise Unusable(NO_MESSAGES)
    if not all(isinstance(message.get("role"), str) for message in messages):
        raise Unusable(NOT_TEXT)
    said = [{name: value for name, value in message.items() if name != "weight"} for message in messages]
    learned = [
        Exchange(tuple(said[:place]), answer, session=session)
        for place, message in enumerate(messages)
        if message["role"] == ASSISTANT and message.get("weight") != 0 and (answer := plain(message.get("content"))) is not None
    ]
    if not learned:
        raise Unusable(NOTHING_TO_LEARN)
    return tuple(learned)


def line_of(row: Row) -> str:
    """With a weight on every answer after the first one that is learned, since of those some may only be read."""
    completion = [
        {**message, "weight": int(place in row.learned)} if message["role"] == ASSISTANT else message
        for place, message in enumerate(row.completion)
    ]
    prompt = [{**message, "weight": 0} if message["role"] == ASSISTANT else message for message in row.prompt]
    return json.dumps({"messages": [*prompt, *completion]}, ensure_ascii=False, separators=(",", ":")) + "\n"
