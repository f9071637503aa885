"""Phrases that the other text says in other words: `carry-on luggage` and `hand luggage`. Unlike a frame, which rewrites every text that
has it, a phrase is replaced only by the very one that the other text has."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from tuneloop_server.semcache.guard.lexicon import forms, lines, stemmed

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


@dataclass(frozen=True)
class Phrase:
    stems: tuple[str, ...]
    group: int
    """Its line: what may stand for it."""


@dataclass(frozen=True)
class Found:
    phrase: Phrase
    start: int
    end: int


def rephrased(text: str, other: str, language: str) -> str:
    """`text` with its phrases as `other` has them, the longer first; what both have stays."""
    here, there = _found(text, language), _found(other, language)
    shared = {found.phrase for found in here} & {found.phrase for found in there}
    meant = {found.phrase.group: found for found in sorted(there, key=_length) if found.phrase not in shared}
    taken: list[Found] = []
    for found in sorted(here, key=_length, reverse=True):
        if found.phrase not in shared and found.phrase.group in meant and not any(_overlap(found, one) for one in taken):
            taken.append(found)
    for found in sorted(taken, key=lambda found: -found.start):
        said = meant[found.phrase.group]
        text = text[: found.start] + other[said.start : said.end] + text[found.end :]
    return text


def _length(found: Found) -> int:
    return len(found.phrase.stems)


def _overlap(one: Found, other: Found) -> bool:
    return one.start < other.end and other.start < one.end


@lru_cache(4096)
def _found(text: str, language: str) -> tuple[Found, ...]:
    """Without what is part of a longer phrase of its group: `internet` in `internet connection`."""
    every = list(_everywhere(text, language))
    return tuple(one for one in every if not any(_within(one, other) for other in every))


def _within(one: Found, other: Found) -> bool:
    return _length(other) > _length(one) and one.phrase.group == other.phrase.group and other.start <= one.start and one.end <= other.end


def _everywhere(text: str, language: str) -> Iterator[Found]:
    words = list(_WORD.finditer(text))
    stems = [_stem(word[0].lower().replace("’", "'"), language) for word in words]
    known = _phrases(language)
    for place, stem in enumerate(stems):
        for phrase in known.get(stem, ()):
            end = place + len(phrase.stems)
            if tuple(stems[place:end]) == phrase.stems:
                yield Found(phrase, words[place].start(), words[end - 1].end())


@cache
def _phrases(language: str) -> Mapping[str, tuple[Phrase, ...]]:
    """By their first stem."""
    found: dict[str, list[Phrase]] = defaultdict(list)
    for group, line in enumerate(lines("phrases", language)):
        for said in line.split("|"):
            stems = tuple(_stem(word, language) for word in _WORD.findall(said))
            found[stems[0]].append(Phrase(stems, group))
    return {first: tuple(phrases) for first, phrases in found.items()}


def _stem(word: str, language: str) -> str:
    return stemmed(forms(language).get(word, word), language)
