"""What transformers and PEFT say by themselves, and whether another engine says the same."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from builders_adapters import base_folder

NEAR_TIE = 1e-3
"""Difference of the two likeliest tokens' logits below which either may be chosen: sums are rounded differently in another order."""


@dataclass(frozen=True)
class Said:
    texts: tuple[str, ...]
    """After each token."""
    margins: tuple[float, ...]
    """Of each token over the next likely one."""

    def agrees_with(self, text: str) -> bool:
        """The same text, or the same up to a token that was nearly another."""
        before = ""
        for after, margin in zip(self.texts, self.margins, strict=True):
            if not text.startswith(after.rstrip("\ufffd")):
                return margin < NEAR_TIE and text.startswith(before)
            before = after.rstrip("\ufffd")
        return text == self.texts[-1]


def greedy(questions: Sequence[str], tokens: int, adapter: Path | None = None) -> list[Said]:
    """Each question alone, in float32."""
    model: Any = AutoModelForCausalLM.from_pretrained(base_folder(), dtype=torch.float32).eval()
    if adapter:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            model = PeftModel.from_pretrained(model, adapter).eval()
    return [_say(model, question, tokens) for question in questions]


def _say(model: Any, question: str, tokens: int) -> Said:
    tokenizer: Any = AutoTokenizer.from_pretrained(base_folder())
    turns = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    made = model.generate(**prompt, max_new_tokens=tokens, do_sample=False, output_logits=True, return_dict_in_generate=True)
    answer = made.sequences[0, prompt["input_ids"].shape[1] :]
    texts = tuple(tokenizer.decode(answer[: n + 1], skip_special_tokens=True) for n in range(len(answer)))
    pairs = [logits[0].topk(2).values for logits in made.logits]
    return Said(texts, tuple(float(first - second) for first, second in pairs))
