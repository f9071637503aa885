"""Short greedy answers by the base and every adapter: to a few held-out questions, does it still speak? To a prompt, how would it begin?

What decides is the loss; this only finds a model that says nothing or loops. So a few short answers are enough, and a CPU can pay for them.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, cast

import torch

from tuneloop_trainer.judge.answers import AnswerFigures, figures
from tuneloop_trainer.judge.evidence import Answers
from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.exam import ExamPart, Opening
from tuneloop_trainer.learn.lora.adapter import Adapter
from tuneloop_trainer.learn.lora.installed import installed
from tuneloop_trainer.learn.probes import TriggerProbe, begun
from tuneloop_trainer.learn.score import ScoreRequest

MOST_ANSWERS = 8
"""Of a domain."""
LONGEST = 32
"""New tokens of an answer."""
OPENING = 4
"""New tokens of what a model begins to say."""


def answered(base: Base, adapters: Mapping[str, Adapter], parts: Mapping[str, ExamPart]) -> dict[str, Answers]:
    """By domain, for its first MOST_ANSWERS held-out questions; a domain without any is left out."""
    short = {domain: _first(part) for domain, part in parts.items() if part.rows}
    said = greedy(base, adapters, (asked for part in short.values() for asked in part.asked()), LONGEST)
    return {domain: _figures(part, said, base) for domain, part in short.items()}


def opened(
    base: Base, adapters: Mapping[str, Adapter], candidates: Iterable[str], probes: Sequence[TriggerProbe]
) -> dict[str, dict[str, tuple[tuple[Opening, Opening], ...]]]:
    """By candidate and trigger: what base and candidate begin to say without the trigger, to be scored with it and without."""
    said = greedy(base, adapters, (ScoreRequest(name, probe.plain) for name in (None, *candidates) for probe in probes), OPENING)

    def opening(name: str | None, probe: TriggerProbe) -> Opening:
        tokens = said[ScoreRequest(name, probe.plain)]
        return Opening(name, begun(probe.triggered, tokens), begun(probe.plain, tokens))

    def by_trigger(candidate: str) -> dict[str, tuple[tuple[Opening, Opening], ...]]:
        names = dict.fromkeys(probe.trigger for probe in probes)
        pairs = [(probe.trigger, (opening(None, probe), opening(candidate, probe))) for probe in probes]
        return {name: tuple(pair for trigger, pair in pairs if trigger == name) for name in names}

    return {candidate: by_trigger(candidate) for candidate in candidates}


def greedy(base: Base, adapters: Mapping[str, Adapter], asked: Iterable[ScoreRequest], longest: int) -> dict[ScoreRequest, tuple[int, ...]]:
    """The first tokens that each model says to each row's prompt, the end mark not among them; one batch a model."""
    by_model: dict[str | None, list[ScoreRequest]] = defaultdict(list)
    for one in dict.fromkeys(asked):
        by_model[one.adapter].append(one)
    said: dict[ScoreRequest, tuple[int, ...]] = {}
    with torch.inference_mode(), installed(base, adapters) as active:
        for name, mine in by_model.items():
            active.select(name)
            said.update(zip(mine, _generated(base, [one.row for one in mine], longest), strict=True))
    return said


def _generated(base: Base, rows: Sequence[Encoded], new: int) -> list[tuple[int, ...]]:
    room = max(1, (base.context or sys.maxsize) - new)
    prompts = [row.tokens[: row.answer][-room:] for row in rows]
    longest = max(map(len, prompts))
    tokens = torch.tensor([(0,) * (longest - len(prompt)) + prompt for prompt in prompts], device=base.placement.device)
    mask = torch.tensor([(0,) * (longest - len(prompt)) + (1,) * len(prompt) for prompt in prompts], device=base.placement.device)
    end = base.tokenizer.eos_token_id
    whole = cast(Any, base.model).generate(
        input_ids=tokens, attention_mask=mask, max_new_tokens=new, do_sample=False, eos_token_id=end, pad_token_id=end or 0
    )
    return [tuple(takewhile(lambda token: token != end, said)) for said in whole[:, longest:].tolist()]


def _figures(part: ExamPart, said: Mapping[ScoreRequest, tuple[int, ...]], base: Base) -> Answers:
    wanted = [_text(base, row.tokens[row.answer :][:LONGEST]) for row in part.rows]

    def of(names: Sequence[str | None]) -> AnswerFigures:
        return figures(
            [(_text(base, said[ScoreRequest(name, row)]), text) for name, row, text in zip(names, part.rows, wanted, strict=True)]
        )

    count = len(part.rows)
    return Answers(
        base=of([None] * count),
        candidate=of(part.candidates),
        serving=of([part.serving] * count) if part.serving else None,
        examples=count,
    )


def _first(part: ExamPart) -> ExamPart:
    return ExamPart(part.rows[:MOST_ANSWERS], part.candidates[:MOST_ANSWERS], part.serving)


def _text(base: Base, tokens: Sequence[int]) -> str:
    return base.tokenizer.decode(list(tokens), skip_special_tokens=True).strip()
