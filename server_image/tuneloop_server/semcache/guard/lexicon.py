"""The word lists, read once. What is in them, and why, is said at their heads."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import combinations

import snowballstemmer

from tuneloop_server.semcache.guard.frames import Frame

_STEMMERS = {"en": snowballstemmer.stemmer("english"), "pt": snowballstemmer.stemmer("portuguese")}
LANGUAGES = tuple(_STEMMERS)

STEMMED_APART = {
    "important": "importance", "importance": "importance", "universe": "universe", "universal": "universal", "paste": "paste",
    "employer": "employer", "employers": "employer", "employment": "employment", "finally": "finally",
}  # fmt: skip
"""Words that the stemmer would make one with another: import, university, past, employ, final."""


@dataclass(frozen=True)
class Lexicon:
    """All that is known of one language."""

    frames: tuple[Frame, ...]
    """In their order."""
    stopwords: frozenset[str]
    concepts: Mapping[str, str]
    """Stem -> the stem that stands for all its synonyms."""
    opposites: frozenset[frozenset[str]]
    """Pairs of concepts."""
    near: frozenset[frozenset[str]]
    """Pairs of concepts that may stand for each other, without chains."""
    light: frozenset[str]
    """Concepts that may be left over."""
    kinds: frozenset[str]
    """Concepts that may be left over on one side."""
    language: str

    def concept(self, word: str) -> str:
        stem = stemmed(word, self.language)
        return self.concepts.get(stem, stem)


@cache
def stemmed(word: str, language: str) -> str:
    return STEMMED_APART.get(word) or str(_STEMMERS[language].stemWord(word))


@cache
def lexicon(language: str) -> Lexicon:
    groups = [line.split() for line in _lines("synonyms", language)]
    concepts = {stemmed(word, language): stemmed(group[0], language) for group in reversed(groups) for word in group}
    bare = Lexicon((), frozenset(), concepts, frozenset(), frozenset(), frozenset(), frozenset(), language)
    opposites = (line.split() for line in _lines("opposites", language))
    near = (line.split() for name in ("near", "loose", "synonyms") for line in _lines(name, language))
    return Lexicon(
        frames=tuple(Frame.parse(line) for line in _lines("frames", language)),
        stopwords=frozenset(word for line in _lines("stopwords", language) for word in line.split()),
        concepts=concepts,
        opposites=_pairs(opposites, bare),
        near=_pairs(near, bare),
        light=_concepts(_lines("light", language), bare),
        kinds=_concepts(_lines("kinds", language), bare),
        language=language,
    )


def _concepts(lines: Iterable[str], words: Lexicon) -> frozenset[str]:
    return frozenset(words.concept(word) for line in lines for word in line.split())


def _pairs(lines: Iterable[list[str]], words: Lexicon) -> frozenset[frozenset[str]]:
    """Of each line every two."""
    return frozenset(frozenset(map(words.concept, pair)) for line in lines for pair in combinations(line, 2))


@cache
def words_of(language: str) -> frozenset[str]:
    """All words that the lists of concepts hold."""
    names = ("synonyms", "opposites", "stopwords", "light", "kinds")
    return frozenset(word for name in names for line in _lines(name, language) for word in line.split())


def _lines(name: str, language: str) -> Iterator[str]:
    """None where a language has no such list."""
    file = files(__package__).joinpath("words", f"{name}.{language}.txt")
    for line in file.read_text("utf-8").splitlines() if file.is_file() else ():
        if line and not line.startswith("#"):
            yield line
