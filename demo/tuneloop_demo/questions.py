"""Questions that people really wrote, with the answers that people gave. Installed from packages, never committed.

Technical: the Python FAQ (Debian's `python3-doc`). General: the quizzes of PyPI's `chatterbot-corpus`.
"""

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import yaml

PACKAGE_DOCUMENTATION = Path("/usr/share/doc")
MAX_WORDS = 60
"""Longest answer to keep: with its question it must fit a row of 128 tokens."""

_HEADING = re.compile(r"^(?P<question>[^\n]+\?)\n[-=~^]{5,}\n(?P<body>.*?)(?=^[^\n]+\n[-=~^]{5,}\n|\Z)", re.M | re.S)
_ROLE = re.compile(r":[a-z:]+:`~?!?([^`<]+?)(?:\s*<[^>]*>)?`")
_LINK = re.compile(r"`([^`<]+?)\s*<[^>]*>`_+")


@dataclass(frozen=True)
class Question:
    text: str
    answer: str


class NotInstalled(Exception):
    """A package with the text is missing; the message says which and how to get it."""


def technical() -> list[Question]:
    """Every question of the Python FAQ whose answer opens with a paragraph that stands alone."""
    folders = sorted(PACKAGE_DOCUMENTATION.glob("python3*/html/_sources/faq"))
    if not folders:
        raise NotInstalled("the Python FAQ is not installed: apt-get install python3-doc")
    found = [match for page in sorted(folders[-1].glob("*.rst.txt")) for match in _HEADING.finditer(page.read_text())]
    pairs = [Question(_plain(match["question"]), _first_paragraph(match["body"])) for match in found]
    return [pair for pair in pairs if len(pair.answer.split()) >= 4]


def general() -> list[Question]:
    """Quiz questions: one question, one answer, the first of each."""
    pairs: dict[str, str] = {}
    for name in ("trivia", "science", "literature", "history"):
        text = (files("chatterbot_corpus") / "data" / "english" / f"{name}.yml").read_text(encoding="utf-8")
        for lines in yaml.safe_load(text)["conversations"]:
            pairs.setdefault(str(lines[0]).strip(), str(lines[1]).strip())
    return [Question(text, answer) for text, answer in pairs.items() if text.endswith("?") and len(answer.split()) <= MAX_WORDS]


def _first_paragraph(body: str) -> str:
    """Sentences of the first prose paragraph, up to MAX_WORDS; "" where the answer starts with a list or code."""
    for block in re.split(r"\n\s*\n", body):
        prose = block.strip("\n")
        if prose.strip() and not prose.startswith((" ", "..", "*", "-", "#", ">>>", "|")):
            return _whole_sentences(_plain(prose).removesuffix("::").strip())
    return ""


def _whole_sentences(text: str) -> str:
    kept = ""
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        if len((kept + " " + sentence).split()) > MAX_WORDS:
            break
        kept = f"{kept} {sentence}".strip()
    return kept if kept.endswith((".", "!", "?")) else ""


def _plain(text: str) -> str:
    """reStructuredText without its marks."""
    text = _LINK.sub(r"\1", _ROLE.sub(r"\1", text))
    return re.sub(r"\s+", " ", text.replace("``", "").replace("*", "").replace("`", "")).strip()
