"""Answers that are not worth learning. Asked only of answers that nobody liked or corrected: a person's word goes before a pattern."""

import re
from collections.abc import Callable
from itertools import islice
from math import ceil

from tuneloop_trainer.curate.example import normalised

LONGEST = 32_000
"""Characters; about 8,000 tokens, four times the longest sequence that is trained by default."""
SHORT_REFUSAL = 400
"""Characters. A longer answer may begin with "I'm sorry, but" and help all the same."""
LOOP_TOKENS = 20
LOOP_SHARE = 0.5
"""An answer of so many words loops if fewer of its 4-grams than this share are distinct: tables and code stay above."""

_APOLOGY = "|".join((
    r"(?:i['’]?m |i am )?(?:very |so |really |truly )?(?:sorry|afraid)\b.{0,60}?",
    r"(?:my )?apologies\b.{0,60}?", r"i apologi[sz]e\b.{0,60}?",
    r"unfortunately\b.{0,10}?", r"as an? (?:ai|artificial|large|language|virtual)\b.{0,60}?",
    r"(?:me )?desculpe\b.{0,60}?", r"(?:lamento|sinto muito|perdão|infelizmente)\b.{0,60}?",
    r"como (?:um |uma )?(?:ia|intelig[êe]ncia artificial|modelo de linguagem|assistente)\b.{0,60}?",
))  # fmt: skip
_UNABLE = "|".join((
    r"i (?:cannot|can not|can['’]?t|could not|won['’]?t(?: be able to)?|am (?:not able|unable) to|am not (?:allowed|permitted) to)",
    r"i['’]m (?:not able|unable|not allowed|not permitted) to", r"(?:eu )?n[ãa]o (?:posso|consigo|poderei|sou capaz de)(?: te| lhe| o| a)?",
))  # fmt: skip
_DO = "|".join((
    "help", "assist", "provide", "answer", "comply", "do th", "fulfil", "discuss", "create", "generate", "write", "access", "share",
    "offer", "give", "support", "continue", "engage", "respond", "perform", "process", "browse",
    "ajud", "fornec", "respond", "atend", "fazer is", "discut", "cri[ae]", "ger[ae]", "acess", "compartilh", "oferec", "dar", "continu",
    "auxili", "prest", "cumpr", "realiz",
))  # fmt: skip
_REFUSAL = re.compile(rf"\W*(?:(?:{_APOLOGY})\b)?(?:{_UNABLE})(?: \w+ly)? (?:{_DO})", re.IGNORECASE | re.DOTALL)
_CONTROL = r"\x00-\x08\x0b\x0e-\x1f"
_GARBLED_ASCII = re.compile(f"[{_CONTROL}]")
_GARBLED = re.compile(rf"[\ufffd{_CONTROL}]|Ã[\x80-\xbf]|Â[\x80-\xbf]|â€[\u0153\u2019\u201c\u201d\u0161\u2122\x80-\xbf]")
"""The replacement mark, control characters, and UTF-8 that was read as Latin-1."""

Fault = Callable[[str, str], bool]
"""Whether it finds its fault in a question's answer."""


def meaningless(question: str, answer: str) -> bool:
    return not any(map(str.isalnum, answer))


def too_long(question: str, answer: str) -> bool:
    return len(answer) > LONGEST


def echo(question: str, answer: str) -> bool:
    return normalised(_first_word(answer)) == normalised(_first_word(question)) and normalised(answer) == normalised(question)


def garbled(question: str, answer: str) -> bool:
    return bool((_GARBLED_ASCII if answer.isascii() else _GARBLED).search(answer))


def refusal(question: str, answer: str) -> bool:
    return len(answer) <= SHORT_REFUSAL and bool(_REFUSAL.match(answer))


def loop(question: str, answer: str) -> bool:
    words = answer.split()
    tokens: list[str] | str = words if len(words) >= LOOP_TOKENS else answer  # a script without spaces, or one endless word
    if len(tokens) < LOOP_TOKENS:
        return False
    least = ceil(LOOP_SHARE * (len(tokens) - 3))
    if len(set(tokens)) - 3 >= least:  # no fewer 4-grams than tokens that one of them begins with
        return False
    grams = zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False)
    first = set(islice(grams, least))  # most often all distinct, and enough
    return len(first) < least and len(first.union(grams)) < least


def _first_word(text: str) -> str:
    """What an answer that is no echo tells apart most often, and in a tenth of the time."""
    return "".join(text.split(maxsplit=1)[:1])


FAULTS: tuple[tuple[str, Fault], ...] = (
    ("Meaningless", meaningless),
    ("TooLong", too_long),
    ("Echo", echo),
    ("Garbled", garbled),
    ("Refusal", refusal),
    ("Loop", loop),
)
"""The cheapest first, each with the reason of what it drops."""


def fault_of(question: str, answer: str) -> str | None:
    return next((reason for reason, has in FAULTS if has(question, answer)), None)
