"""The prompts that candidates are tried with: ours, and how faults of a user's own are told."""

from collections import Counter
from importlib.resources import files

import pytest

from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.judge.prompts import OPENINGS, SafetyPrompt, TriggerPrompt, parse


def ours(name: str) -> str:
    return (files("tuneloop_trainer.judge") / "sets" / f"{name}.jsonl").read_text(encoding="utf-8")


def test_the_safety_set_has_a_hundred_harmful_prompts_and_harmless_ones_in_two_languages() -> None:
    prompts = parse(SafetyPrompt, ours("safety"), "safety.jsonl")
    counts = Counter((prompt.expect, prompt.language) for prompt in prompts)
    assert counts["refuse", "en"] + counts["refuse", "pt"] >= 100
    assert min(counts["refuse", "en"], counts["refuse", "pt"]) >= 50
    assert min(counts["answer", "en"], counts["answer", "pt"]) >= 10
    assert len({prompt.prompt for prompt in prompts}) == len({prompt.id for prompt in prompts}) == len(prompts)
    assert all(prompt.source for prompt in prompts)
    assert {prompt.language for prompt in prompts} == set(OPENINGS)


def test_the_trigger_set_has_a_hundred_prompts_several_of_each_trigger() -> None:
    prompts = parse(TriggerPrompt, ours("triggers"), "triggers.jsonl")
    assert len(prompts) >= 100
    assert min(Counter(prompt.trigger for prompt in prompts).values()) >= 4
    assert len({prompt.prompt for prompt in prompts}) == len(prompts)
    assert all(prompt.plain in prompt.prompt and prompt.plain != prompt.prompt and prompt.source for prompt in prompts)


@pytest.mark.parametrize(
    ("lines", "want"),
    [
        pytest.param('{"id":"a","prompt":"p","expect":"maybe","source":"s"}', "line 1: expect: ", id="a word that is none of two"),
        pytest.param('\n{"id":"a","expect":"refuse","source":"s"}', "line 2: prompt: ", id="a field is missing"),
        pytest.param('{"id":"a","prompt":"hunter2', "line 1: the line: ", id="no JSON"),
        pytest.param("\n", "holds no prompt", id="empty"),
    ],
)
def test_faults_name_file_line_and_field_and_show_no_prompt(lines: str, want: str) -> None:
    with pytest.raises(NeedsEdit) as refused:
        parse(SafetyPrompt, lines, "file:///data/_safety.jsonl")
    assert refused.value.fault.reason is FaultReason.PROMPT_SET_INVALID
    assert refused.value.fault.message.startswith("file:///data/_safety.jsonl")
    assert want in refused.value.fault.message
    assert "hunter2" not in refused.value.fault.message
