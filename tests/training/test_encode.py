from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from training.lessons import row
from tuneloop_trainer.learn.encode import Encoded, encode, encode_rows
from tuneloop_trainer.rows import Message, Row


@pytest.fixture(scope="module")
def tokenizer(smollm2: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(smollm2)


def said(*turns: tuple[str, str]) -> tuple[Message, ...]:
    return tuple({"role": role, "content": content} for role, content in turns)


ROW = row(1, "support", "")


def supervised(encoded: Encoded | None, tokenizer: PreTrainedTokenizerBase) -> str:
    assert encoded
    return tokenizer.decode(encoded.tokens[encoded.answer :])


def test_only_the_last_answer_and_its_end_are_supervised(tokenizer: PreTrainedTokenizerBase) -> None:
    encoded = encode(ROW, said(("user", "One?"), ("assistant", "First."), ("user", "Two?"), ("assistant", "Second.")), tokenizer, 512)
    assert supervised(encoded, tokenizer) == "Second.<|im_end|>"
    assert encoded
    prompt = tokenizer.decode(encoded.tokens[: encoded.answer])
    assert prompt.endswith("First.<|im_end|>\n<|im_start|>user\nTwo?<|im_end|>\n<|im_start|>assistant\n")


def test_the_prompt_is_tokenized_as_a_server_does(tokenizer: PreTrainedTokenizerBase) -> None:
    """Even where the answer's first letters would join the prompt's last token."""
    encoded = encode(ROW, said(("user", "Hi"), ("assistant", "\n\n  code")), tokenizer, 512)
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], add_generation_prompt=True, tokenize=False)
    assert encoded
    assert list(encoded.tokens[: encoded.answer]) == tokenizer(prompt, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    ("question", "answer", "limit", "want_answer", "want_length"),
    [
        pytest.param("word " * 200, "Short.", 64, "Short.<|im_end|>", 64, id="a long prompt loses its beginning"),
        pytest.param("Why?", "word " * 200, 64, None, 64, id="a long answer loses its end, a quarter stays for the prompt"),
        pytest.param("Why?", "Short.", 512, "Short.<|im_end|>", None, id="what fits is whole"),
    ],
)
def test_truncation(
    question: str, answer: str, limit: int, want_answer: str | None, want_length: int | None, tokenizer: PreTrainedTokenizerBase
) -> None:
    encoded = encode(ROW, said(("user", question), ("assistant", answer)), tokenizer, limit)
    assert encoded
    assert len(encoded.tokens) <= limit
    assert encoded.answer >= min(16, limit // 4)
    assert want_length is None or len(encoded.tokens) == want_length
    assert encoded.truncated == (want_length is not None)
    assert want_answer is None or supervised(encoded, tokenizer) == want_answer
    assert tokenizer.decode(encoded.tokens[: encoded.answer]).endswith("<|im_start|>assistant\n")


def test_what_a_row_weighs_and_belongs_to_goes_along(tokenizer: PreTrainedTokenizerBase) -> None:
    encoded = encode(replace(ROW, weight=0.5), said(("user", "Why?"), ("assistant", "So.")), tokenizer, 64)
    assert encoded
    assert (encoded.id, encoded.conversation, encoded.weight) == ("support-1", "support-c1", 0.5)


def test_rows_without_anything_to_learn_are_counted(tokenizer: PreTrainedTokenizerBase) -> None:
    kept, dropped = encode_rows([row(1, "support", "Yes."), row(2, "support", " ")], tokenizer, 128)
    assert ([one.id for one in kept], dropped) == (["support-1"], 1)


def test_a_conversation_teaches_each_answer_that_is_to_be_learned(tokenizer: PreTrainedTokenizerBase) -> None:
    talk = said(("user", "A?"), ("assistant", "One."), ("user", "B?"), ("assistant", "Two."), ("user", "C?"), ("assistant", "Three."))
    encoded, _ = encode_rows([Row("i", "support", "c", talk[:1], talk[1:], learned=(0, 4))], tokenizer, 512)
    assert [supervised(one, tokenizer) for one in encoded] == ["One.<|im_end|>", "Three.<|im_end|>"]
    assert "Two." in tokenizer.decode(encoded[1].tokens)


class Template:
    """A tokenizer of single letters whose template is a test's."""

    eos_token_id = None

    def __init__(self, prompt: str, whole: str) -> None:
        self.prompt, self.whole = prompt, whole

    def apply_chat_template(self, conversation: object, *, tokenize: bool, add_generation_prompt: bool) -> str:
        return self.prompt if add_generation_prompt else self.whole

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for letter in text]}


@pytest.mark.parametrize(
    ("prompt", "whole", "want"),
    [
        pytest.param("U:Why?A:", "U:Why?A:Yes.;", "Yes.;", id="the whole continues the prompt"),
        pytest.param("U:Why?A:<think>", "U:Why?A:Yes.;", "Yes.;", id="the prompt opens what old answers leave out"),
        pytest.param("U:Why?A:<think>", "U:Why?A:no;", None, id="the answer is not to be found"),
    ],
)
def test_templates(prompt: str, whole: str, want: str | None) -> None:
    encoded = encode(ROW, said(("user", "Why?"), ("assistant", "Yes.")), Template(prompt, whole), 100)
    assert (encoded and "".join(map(chr, encoded.tokens[encoded.answer :]))) == want
