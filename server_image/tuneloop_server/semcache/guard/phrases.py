"""Phrases that the other text says in other words: `carry-on luggage` and `hand luggage`. Unlike a frame, which rewrites every text that
has it, a phrase is replaced only by the very one that the other text has."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

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
    meant: dict[int, Found] = {}
    for found in there:
        if found.phrase not in shared:
            best = meant.setdefault(found.phrase.group, found)
            if len(best.phrase.stems) < len(found.phrase.stems):
                meant[found.phrase.group] = found
    taken: list[Found] = []
    for found in sorted(here, key=lambda found: (-len(found.phrase.stems), found.start)):
        free = all(found.end <= one.start or one.end <= found.start for one in taken)
        if found.phrase not in shared and found.phrase.group in meant and free:
            taken.append(found)
    for found in sorted(taken, key=lambda found: -found.start):
        said = meant[found.phrase.group]
        text = text[: found.start] + other[said.start : said.end] + text[found.end :]
    return text


def _found(text: str, language: str) -> list[Found]:
    """Without what is part of a longer phrase of its group: `internet` in `internet connection`."""
    every = list(_everywhere(text, language))
    return [one for one in every if not any(_within(one, other) for other in every)]


def _within(one: Found, other: Found) -> bool:
    longer = len(other.phrase.stems) > len(one.phrase.stems)
    return longer and one.phrase.group == other.phrase.group and other.start <= one.start and one.end <= other.end


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
