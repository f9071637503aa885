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
    scopes: frozenset[str]
    """Concepts of tools and languages: where one is named, it is all the same in which place."""
    implied: Mapping[str, frozenset[str]]
    """Concept of a tool -> concepts that are not thought of without it."""
    language: str

    def concept(self, word: str) -> str:
        stem = stemmed(word, self.language)
        return self.concepts.get(stem, stem)


@cache
def stemmed(word: str, language: str) -> str:
    """The Portuguese stemmer leaves verbs in many parts (bloqueio, bloquear), so their forms are taken back before."""
    whole = forms(language).get(word, word) if language == "pt" else word
    return STEMMED_APART.get(whole) or str(_STEMMERS[language].stemWord(whole))


@cache
def forms(language: str) -> Mapping[str, str]:
    """Irregular form -> the word that it is of."""
    return {form: line.split()[0] for line in lines("forms", language) for form in line.split()[1:]}


@cache
def lexicon(language: str) -> Lexicon:
    groups = [line.split() for line in lines("synonyms", language)]
    concepts = {stemmed(word, language): stemmed(group[0], language) for group in reversed(groups) for word in group}
    bare = Lexicon((), frozenset(), concepts, frozenset(), frozenset(), frozenset(), frozenset(), frozenset(), {}, language)
    opposites = (line.split() for line in lines("opposites", language))
    near = (line.split() for name in ("near", "loose", "synonyms") for line in lines(name, language))
    return Lexicon(
        frames=tuple(Frame.parse(line) for line in lines("frames", language)),
        stopwords=frozenset(word for line in lines("stopwords", language) for word in line.split()),
        concepts=concepts,
        opposites=_pairs(opposites, bare),
        near=_pairs(near, bare),
        light=_concepts(lines("light", language), bare),
        kinds=_concepts(lines("kinds", language), bare),
        scopes=_concepts(lines("scopes", language), bare),
        implied={bare.concept(line.split()[0]): _concepts([line.partition(" ")[2]], bare) for line in lines("implied", language)},
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
    return _words(("synonyms", "opposites", "stopwords", "light", "kinds"), language)


@cache
def spelled_words_of(language: str) -> frozenset[str]:
    """And of the other lists."""
    return words_of(language) | _words(("near", "loose", "phrases", "forms", "scopes"), language)


def _words(names: tuple[str, ...], language: str) -> frozenset[str]:
    return frozenset(word for name in names for line in lines(name, language) for word in line.split())


def lines(name: str, language: str) -> Iterator[str]:
    """None where a language has no such list."""
    file = files(__package__).joinpath("words", f"{name}.{language}.txt")
    for line in file.read_text("utf-8").splitlines() if file.is_file() else ():
        if line and not line.startswith("#"):
            yield line
