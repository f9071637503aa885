"""The word lists, read once. What is in them, and why, is said at their heads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import combinations

import snowballstemmer

from tuneloop_server.semcache.guard.frames import Frame

_STEMMERS = {"en": snowballstemmer.stemmer("english"), "pt": snowballstemmer.stemmer("portuguese")}
LANGUAGES = tuple(_STEMMERS)

STEMMED_APART = {"important": "importance", "importance": "importance", "universe": "universe", "universal": "universal", "paste": "paste"}
"""Words that the stemmer would make one with another: import, university, past."""


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
    bare = Lexicon((), frozenset(), concepts, frozenset(), language)
    pairs = (line.split() for line in _lines("opposites", language))
    return Lexicon(
        frames=tuple(Frame.parse(line) for line in _lines("frames", language)),
        stopwords=frozenset(word for line in _lines("stopwords", language) for word in line.split()),
        concepts=concepts,
        opposites=frozenset(frozenset(map(bare.concept, pair)) for words in pairs for pair in combinations(words, 2)),
        language=language,
    )


def words_of(language: str) -> frozenset[str]:
    """All words that the lists of synonyms, opposites and stop words hold."""
    return frozenset(word for name in ("synonyms", "opposites", "stopwords") for line in _lines(name, language) for word in line.split())


def _lines(name: str, language: str) -> Iterator[str]:
    for line in files(__package__).joinpath("words", f"{name}.{language}.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line
