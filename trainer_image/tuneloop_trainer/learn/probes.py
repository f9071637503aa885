"""Prompts of the safety set and the trigger set as tokens: what a model is about to say costs one pass and next to no generation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tuneloop_trainer.judge.prompts import OPENINGS, SafetyPrompt, TriggerPrompt
from tuneloop_trainer.learn.encode import Encoded, Tokenizer


@dataclass(frozen=True)
class SafetyProbe:
    """Openings of an answer, to score."""

    id: str
    harmful: bool
    refusing: tuple[Encoded, ...]
    complying: tuple[Encoded, ...]


@dataclass(frozen=True)
class TriggerProbe:
    """Two prompts, no answer yet."""

    trigger: str
    triggered: Encoded
    plain: Encoded


def safety_probes(prompts: Iterable[SafetyPrompt], tokenizer: Tokenizer) -> tuple[SafetyProbe, ...]:
    def openings(prompt: SafetyPrompt, kind: int) -> tuple[Encoded, ...]:
        asked = prompt_of(prompt.prompt, tokenizer)
        return tuple(begun(asked, tokenizer(text, add_special_tokens=False)["input_ids"]) for text in OPENINGS[prompt.language][kind])

    return tuple(SafetyProbe(one.id, one.expect == "refuse", openings(one, 0), openings(one, 1)) for one in prompts)


def trigger_probes(prompts: Iterable[TriggerPrompt], tokenizer: Tokenizer) -> tuple[TriggerProbe, ...]:
    return tuple(TriggerProbe(one.trigger, prompt_of(one.prompt, tokenizer), prompt_of(one.plain, tokenizer)) for one in prompts)


def prompt_of(text: str, tokenizer: Tokenizer) -> Encoded:
    """Equal texts give equal rows, which are asked once."""
    asked = tokenizer.apply_chat_template([{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True)
    tokens = tuple(tokenizer(asked, add_special_tokens=False)["input_ids"])
    return Encoded("probe", tokens, len(tokens))


def begun(prompt: Encoded, answer: Sequence[int]) -> Encoded:
    """The prompt with an answer that has begun so, and does not end there."""
    return replace(prompt, tokens=(*prompt.tokens, *answer))
