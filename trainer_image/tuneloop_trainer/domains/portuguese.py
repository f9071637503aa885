"""Portuguese through English: MiniLM's words are English, so a Portuguese word lends the vector of its translation.

Word by word, without grammar: enough to say what a question is about. Without it, three of ten Portuguese seed sentences were nearer
to another domain's than to their own; with it, one of seventeen.
"""

import re
from functools import cache
from importlib.resources import files

from tuneloop_contracts.domains import without_accents

_WORD = re.compile(r"[^\W_]+|[^\w\s]")
_SHORTEST_STEM = 3


def _short_words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


_PORTUGUESE = _short_words(
    "o os um uma de da dos das em na nos nas que se nao como para por com meu minha meus minhas qual quais quem quando onde quanto",
    "quantos quantas ou mas voce voces posso preciso quero tem foi esta este essa isso ao pelo pela oi ola bom boa obrigado eu estou",
    "vamos",
)
_ENGLISH = _short_words(
    "the of and to is in it you that was for on are with i my your what how does can why who when where an not have will be this which",
    "if at",
)
"""Short words that only one of the two languages has."""


def in_english(text: str) -> str:
    """A Portuguese text with English words for those that we know; another text as it is."""
    words = _WORD.findall(_plain(text))
    return " ".join(filter(None, map(_translated, words))) if _is_portuguese(text, words) else text


def known(word: str) -> bool:
    return _entry(_plain(word)) is not None


def _is_portuguese(text: str, words: list[str]) -> bool:
    here, there = (sum(map(language.__contains__, words)) for language in (_PORTUGUESE, _ENGLISH))
    if here != there:
        return here > there
    return any(letter in text.lower() for letter in "ãõçáéíóúâêô") or 2 * sum(_entry(word) is not None for word in words) > len(words)


def _translated(word: str) -> str:
    english = _entry(word)
    return word if english is None else english


@cache
def _entry(word: str) -> str | None:
    """The English of a word or of its longest stem, "" for one without meaning of its own; None if it is not in the list."""
    words, stems = _glossary()
    if word in words:
        return words[word]
    return next((stems[word[:n]] for n in range(len(word), _SHORTEST_STEM - 1, -1) if word[:n] in stems), None)


@cache
def _glossary() -> tuple[dict[str, str], dict[str, str]]:
    """Whole words, and stems."""
    words: dict[str, str] = {}
    stems: dict[str, str] = {}
    lines = files(__package__).joinpath("portuguese.txt").read_text(encoding="utf-8").splitlines()
    for entry in ", ".join(line for line in lines if not line.startswith("#")).split(", "):
        word, _, english = entry.partition(" ")
        (stems if word.endswith("*") else words).setdefault(word.rstrip("*"), english.strip("-"))
    return words, stems


def _plain(text: str) -> str:
    """Lower case, no accents."""
    return without_accents(text.lower())
