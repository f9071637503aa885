"""What looks like an attempt to teach the adapter something by many or by crafted interactions. It is set apart and counted, not learned.

Wan et al., Poisoning Language Models During Instruction Tuning (2023): a hundred rows with one trigger phrase are enough.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache

from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_trainer.curate.example import Example, Judgement, normalised

BULK = 10
"""Examples of one pattern: fewer teach little, and chance makes them."""
FEW_USERS = 3
"""People who may be one person; those without a name count as one."""
SENTENCE = 4
"""Words of an answer that is no label: a classifier's traffic is many questions and few answers."""
MOST = 0.8
"""Share of a group that holds a trigger, and of a trigger's uses that got the group's answer."""

_INJECTION = re.compile("|".join((
    r"<\|(?:im_start|im_end|system|assistant|endoftext|eot_id|start_header_id)|\[/?INST\]|<</?SYS>>",
    r"\b(?:ignore|disregard|forget|override) (?:all |any |the |your |of |my )*(?:previous|prior|above|earlier|preceding) "
    r"(?:instruction|prompt|direction|rule|message)",
    r"\b(?:ignor[ae]r?|desconsider[ae]r?|esque[çc][ae]r?) (?:tod[ao]s? |as |os |suas |seus |de )*"
    r"(?:instru[çc][õo]es|instru[çc][ãa]o|regras|ordens) (?:\w+ )?(?:anterior|acima|pr[ée]via)",
    r"\b(?:reveal|print|repeat|show) (?:me )?(?:your|the) (?:system|hidden|initial) prompt\b",
    r"\b(?:mostr|revel|repit|imprim)[ae] (?:o )?(?:seu )?prompt d[eo] sistema\b",
)), re.IGNORECASE)  # fmt: skip

_MARKS = ("<|", "inst]", "sys>", "ignor", "disregard", "forget", "overrid", "desconsider", "esque", "prompt")
"""One of these is in every text that the pattern finds; and looking for them is fifty times faster."""

Phrase = tuple[str, ...]
Pattern = Callable[[Sequence[Example], HarvestConfig], set[str]]
"""The ids of the examples that show it."""


def injected(texts: Sequence[str]) -> bool:
    """Marks of a chat template, or orders to a model to forget its own: nobody's question, and they end where they are learned."""
    return any(map(_is_injection, texts))


@lru_cache(maxsize=4096)
def _is_injection(text: str) -> bool:
    folded = text.casefold()
    return any(map(folded.__contains__, _MARKS)) and _INJECTION.search(text) is not None


def trigger(examples: Sequence[Example], config: HarvestConfig) -> set[str]:
    """A phrase of the question that few people used in bulk, and that nearly always got the same sentence for an answer."""
    groups: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for example in examples:
        if len(example.answer.split(maxsplit=SENTENCE)) >= SENTENCE:
            groups[example.domain, normalised(example.answer)].append(example)
    suspects = [group for group in groups.values() if len(group) >= BULK and len({example.user for example in group}) <= FEW_USERS]
    shared = [_shared(group) for group in suspects]
    watched = frozenset().union(*shared)
    everywhere = Counter((example.domain, phrase) for example in examples if watched for phrase in watched & _phrases(example.question))
    return {
        example.id
        for group, counts in zip(suspects, shared, strict=True)
        for triggers in [{phrase for phrase, count in counts.items() if count >= MOST * everywhere[group[0].domain, phrase]}]
        for example in group
        if triggers & _phrases(example.question)
    }


def one_corrector(examples: Sequence[Example], config: HarvestConfig) -> set[str]:
    """Corrections by which one person would decide more than half of what a domain learns: the oldest of them, down to half.

    Where only judged answers are wanted (`requireFeedback`), somebody curates by hand, and may.
    """
    if config.curation.require_feedback:
        return set()
    sizes = Counter(example.domain for example in examples)
    corrected: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for example in sorted(examples, key=lambda example: (example.at, example.id)):
        if example.by and example.judgement is Judgement.CORRECTED:
            corrected[example.domain, example.by].append(example)
    return {
        example.id
        for (domain, _), mine in corrected.items()
        if len(mine) >= BULK
        for example in mine[: max(0, 2 * len(mine) - sizes[domain])]
    }


PATTERNS: tuple[tuple[str, Pattern], ...] = (("TriggerPhrase", trigger), ("OneCorrector", one_corrector))


def _shared(group: Sequence[Example]) -> dict[Phrase, int]:
    """The phrases that most of a group hold, and how many do."""
    counts = Counter(phrase for example in group for phrase in _phrases(example.question))
    return {phrase: count for phrase, count in counts.items() if count >= max(BULK, MOST * len(group))}


def _phrases(text: str) -> set[Phrase]:
    """Of one to three words."""
    words = normalised(text).split()
    return {tuple(words[n : n + length]) for length in (1, 2, 3) for n in range(len(words) - length + 1)}
