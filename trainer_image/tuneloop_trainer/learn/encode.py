"""A conversation as tokens, with the answer marked. Pure, given a tokenizer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from jinja2 import TemplateError

from tuneloop_trainer.rows import Message, Row


class Tokenizer(Protocol):
    """What is asked of transformers' tokenizers."""

    eos_token_id: int | None

    def apply_chat_template(self, conversation: Sequence[Message], *, tokenize: bool, add_generation_prompt: bool) -> str: ...

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]: ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str: ...


@dataclass(frozen=True)
class Encoded:
    """`tokens[answer:]` are supervised: the answer and the mark that ends it."""

    id: str
    """Of its row; the answers of one row share it."""
    tokens: tuple[int, ...]
    answer: int
    conversation: str = ""
    """Answers of one conversation are no independent evidence."""
    weight: float = 1.0
    """Of its loss."""
    truncated: bool = False
    """It was longer than the context: the beginning of its prompt is missing, or the end of a very long answer."""

    @property
    def supervised(self) -> int:
        return len(self.tokens) - self.answer


def encode_rows(rows: Iterable[Row], tokenizer: Tokenizer, max_length: int) -> tuple[list[Encoded], int]:
    """The answers that have something to learn, and how many had not."""
    encoded = [encode(row, turn, tokenizer, max_length) for row in rows for turn in row.turns()]
    kept = [row for row in encoded if row]
    return kept, len(encoded) - len(kept)


def encode(row: Row, turn: Sequence[Message], tokenizer: Tokenizer, max_length: int) -> Encoded | None:
    """`turn` ends with the answer to learn. None without a supervised token, or where the chat template refuses the conversation.

    Prompt and answer are tokenized apart, as a server does that first reads a prompt and then continues it.
    """
    texts = _prompt_and_answer(turn, tokenizer)
    if texts is None:
        return None
    prompt, answer = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts)
    answer = _until_end(answer, tokenizer.eos_token_id)
    whole = len(prompt) + len(answer)
    prompt, answer = _fit(prompt, answer, max_length)
    if not prompt or not answer:
        return None
    return Encoded(row.id, (*prompt, *answer), len(prompt), row.conversation, row.weight, truncated=whole > max_length)


def _prompt_and_answer(turn: Sequence[Message], tokenizer: Tokenizer) -> tuple[str, str] | None:
    if not turn[-1]["content"].strip():
        return None
    try:
        prompt = tokenizer.apply_chat_template(turn[:-1], tokenize=False, add_generation_prompt=True)
        whole = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=False)
    except TemplateError:  # as in "roles must alternate"
        return None
    if not whole.startswith(prompt):  # a template that writes more after its prompt than before an old answer
        start = whole.rfind(turn[-1]["content"].strip())
        return (prompt, whole[start:]) if start >= 0 else None
    return prompt, whole[len(prompt) :]


def _until_end(answer: list[int], end: int | None) -> list[int]:
    """A server stops at the end mark: what a template writes after it is never generated."""
    return answer[: answer.index(end) + 1] if end in answer else answer


def _fit(prompt: list[int], answer: list[int], max_length: int) -> tuple[list[int], list[int]]:
    """The answer first, but a quarter stays for the prompt's end: an answer without its question teaches nothing."""
    answer = answer[: max_length - min(len(prompt), max_length // 4)]
    room = max_length - len(answer)
    return prompt[-room:], answer
