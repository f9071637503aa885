"""From a text to what the rules look at."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from tuneloop_server.semcache.guard.grammar import AUXILIARIES, JOINING, MARKS, NEGATORS, OWNERS, PERSONS, QUESTIONS, TENSES
from tuneloop_server.semcache.guard.lexicon import Lexicon, lexicon
from tuneloop_server.semcache.guard.numerals import canonical, spelled
from tuneloop_server.semcache.guard.spelling import corrected

_TOKEN = re.compile(r"\d[\d.,:/-]*\d(?:st|nd|rd|th)?|\d(?:st|nd|rd|th)?|[^\W\d_]+|[^\w\s.,!?;:'\"()\[\]{}…`_-]")
_QUOTED = re.compile(r"[\"“”«]([^\"“”«»]{1,200})[\"“”»]|(?<!\w)['‘]([^'‘’]{1,200})['’](?!\w)|`([^`]{1,200})`")
_CODE = re.compile(
    r"(?<!\w)(?:[\w.-]*(?:\w_\w|::|\w\(\)|\\|/\w+/|://|@\w)[^\s,;!?]*"  # snake_case, a::b, f(), paths, addresses
    r"|[a-z][\w.-]*[A-Z][^\s,;!?]*"  # camelCase; GitHub is a name
    r"|--?[a-zA-Z][\w-]*|[A-Za-z]+\d[\w.]*|\w+\.\w{1,4}(?=\s|$))"  # --options, v3.10, file.txt
)
_WORD = re.compile(r"(?<![\w/.@-])(?<!\w')[a-z]{4,20}(?![\w/@-]|['.]\w)")
_INVERTED = re.compile(
    r"\b(who|whom|what) ((do|does|did)\b(?! i do\b)|(should|can|could|must|will|would|may|might) (i|we|you|one)\b)(?!.* (mean|stand)\b)"
)
_POSSESSIVE = re.compile(r"([^\W\d_]+)'s? [^\W\d_]")
_CAPITALISED = re.compile(r"(?<=[\w,;:)] )[A-ZÀ-Ý][\w&-]*")
_ACRONYMS = {"US": "usa", "U.S.": "usa", "IT": "informatics", "WHO": "worldhealth", "May": "maymonth"}
_ACRONYM = re.compile(r"(?<=\w )(US|U\.S\.|IT|WHO|May)(?!\w)")
_SEVERAL = re.compile(r"\b([A-Z]{2,6})s\b")
"""PDFs: the stemmer knows no plural without a vowel."""
_SYMBOLS = {"%": "percent", "$": "dollar", "€": "euro", "£": "pound", "&": "and"}
_FOLD = str.maketrans({"’": "'", "‘": "'", "´": "'", "“": '"', "”": '"', "–": "-", "—": " ", "‑": "-"})


@dataclass(frozen=True)
class Reading:
    """One text, understood as far as the rules need."""

    language: str
    content: tuple[str, ...]
    """Concepts in their order: what is left of the words without frames, stop words and numbers."""
    numbers: tuple[str, ...]
    """Also symbols such as + or <; in their order."""
    measured: Mapping[str, frozenset[str]]
    """What each number is followed by: 80 kilograms."""
    negations: int
    negated: tuple[tuple[str, ...], ...]
    """Up to two concepts after each negator."""
    questions: frozenset[str]
    """how, why, when ...; `yes-no`; empty for a statement."""
    asking: bool
    """It ends with a question mark."""
    tense: str
    """Of the first auxiliary."""
    subject: str
    """Grammatical person after the first auxiliary: "1", "2", "3" for what is somebody's (can my employer ...), or ""."""
    inverted: bool
    """Who or what is asked for as the object: `who did she call`, not `who called her`."""
    owners: frozenset[str]
    """Whose things are spoken of: persons of possessives."""
    quoted: frozenset[str]
    """Quoted strings and code, which no synonym may stand for."""
    names: frozenset[str]
    """Concepts of words that are capitalised inside a sentence."""
    marked: Mapping[str, frozenset[str]]
    """Which concepts come from where, go where, or are done by whom."""
    folded: str
    """The text without case, punctuation and accents of typography."""


@lru_cache(4096)
def read(text: str, language: str | None = None) -> Reading:
    """In its own language where none is given. Cached, as the texts of popular entries are compared again and again."""
    plain = unicodedata.normalize("NFKC", text).translate(_FOLD)
    cased = _SEVERAL.sub(r"\1", _ACRONYM.sub(lambda found: _ACRONYMS[found[1]], plain))
    lower = " ".join(re.sub(r"(?<=[^\W\d_])-(?=[^\W\d_])", " ", cased.lower()).split())
    words = lexicon(language or _language(leaning(lower)))
    framed = _framed(_spelled_right(lower, cased) if words.language == "en" else lower, words)
    tokens = [_SYMBOLS.get(token, token) for token in _TOKEN.findall(framed)]
    content, numbers = _content(tokens, words)
    questions, tense, subject = _mood(tokens)
    return Reading(
        language=words.language,
        content=content,
        numbers=numbers,
        measured=_measured(tokens, words),
        negations=sum(token in NEGATORS[words.language] for token in tokens),
        negated=tuple(_after(tokens, place, words) for place, token in enumerate(tokens) if token in NEGATORS[words.language]),
        questions=questions,
        asking=lower.endswith("?"),
        tense=tense,
        subject=subject,
        inverted=bool(_INVERTED.search(framed)),
        owners=frozenset(OWNERS[token] for token in tokens if token in OWNERS),
        quoted=frozenset(_quoted(plain)),
        names=frozenset(_names(cased, words)) & set(content),
        marked=_marked(tokens, words) | _owning(lower, words),
        folded=folded(lower),
    )


def folded(text: str) -> str:
    """Without case and punctuation."""
    return " ".join(re.findall(r"\w+|[^\w\s.,!?;:'\"]", text.lower()))


def _mood(tokens: list[str]) -> tuple[frozenset[str], str, str]:
    """Questions, tense and subject."""
    asked = frozenset(QUESTIONS[tokens[place]] for place in _asking(tokens))
    place = next((place for place, token in enumerate(tokens) if token in AUXILIARIES), None)
    if place is None:
        return asked, "", ""
    after = tokens[place + 1] if place + 1 < len(tokens) else ""
    subject = "3" if after in OWNERS else PERSONS.get(after, "")
    return asked or frozenset({"yes-no"} if place == 0 else ()), TENSES.get(tokens[place], ""), subject


def _asking(tokens: list[str]) -> list[int]:
    """Where a question word asks: the first one, and those joined to it; what follows as `when I leave` says under which condition, and
    so does the first where yes or no is asked."""
    conditions = {"when", "quando"} if tokens[:1] and tokens[0] in AUXILIARIES else set()
    places = [place for place, token in enumerate(tokens) if token in QUESTIONS and token not in conditions]
    return [place for place in places if place == places[0] or tokens[place - 1] in JOINING]


def language_of(a: str, b: str) -> str | None:
    """That both are in: what could be either is in the language of the other. None if each is in its own."""
    one, other = leaning(a.lower()), leaning(b.lower())
    return None if one * other < 0 else _language(one + other)


def _language(leaning: int) -> str:
    """English in doubt."""
    return "pt" if leaning > 0 else "en"


@cache
def _grammar(language: str) -> frozenset[str]:
    return lexicon(language).stopwords | NEGATORS[language]


@lru_cache(4096)
def leaning(lower: str) -> int:
    """How many more words of grammar are Portuguese than English."""
    tokens = _TOKEN.findall(lower)
    english, portuguese = (sum(token in words for token in tokens) for words in map(_grammar, ("en", "pt")))
    return portuguese - english


def _spelled_right(lower: str, cased: str) -> str:
    """Names and code are left alone, though they look like slips."""
    names = {part.lower() for name in _CAPITALISED.findall(cased) for part in re.findall(r"[^\W\d_]+", name)}
    return _WORD.sub(lambda found: found[0] if found[0] in names else corrected(found[0]), lower)


def _framed(lower: str, words: Lexicon) -> str:
    text = lower
    for frame in words.frames:
        text = frame.rewrite(text)
    return text


def _content(tokens: list[str], words: Lexicon) -> tuple[tuple[str, ...], tuple[str, ...]]:
    content: list[str] = []
    numbers: list[str] = []
    place = 0
    while place < len(tokens):
        token = tokens[place]
        value, taken = spelled(tokens, place, words.language)
        if taken:
            numbers.append(str(value))
        elif number := canonical(token):
            numbers.append(number)
        elif not token[0].isalnum():
            numbers.append(token)
        elif token not in words.stopwords and token not in NEGATORS[words.language]:
            content.append(words.concept(token))
        place += max(taken, 1)
    return tuple(content), tuple(numbers)


def _quoted(plain: str) -> list[str]:
    strings = [(a or b or c).strip().lower() for a, b, c in _QUOTED.findall(plain)]
    return strings + [found.rstrip(".:") for found in _CODE.findall(_QUOTED.sub(" ", plain))]


def _names(cased: str, words: Lexicon) -> list[str]:
    """None in a text whose words are capitalised throughout, as in a title."""
    found = [name.lower() for name in _CAPITALISED.findall(cased)]
    if 2 * len(found) > len(cased.split()):
        return []
    return [words.concept(part) for name in found for part in re.findall(r"[^\W\d_]+", name) if part not in words.stopwords]


def _marked(tokens: list[str], words: Lexicon) -> dict[str, frozenset[str]]:
    marks = MARKS[words.language]
    marked: dict[str, set[str]] = {}
    for place, token in enumerate(tokens):
        if token in marks:
            after = next((later for later in range(place + 1, min(place + 4, len(tokens))) if tokens[later] not in words.stopwords), None)
            if after is not None:
                marked.setdefault(marks[token], set()).add(_one(tokens, after, words))
    return {mark: frozenset(concepts) for mark, concepts in marked.items()}


def _after(tokens: list[str], place: int, words: Lexicon) -> tuple[str, ...]:
    return _content(tokens[place + 1 :], words)[0][:2]


def _measured(tokens: list[str], words: Lexicon) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for place, token in enumerate(tokens[:-1]):
        after = tokens[place + 1]
        if (number := canonical(token)) and after.isalpha() and after not in words.stopwords:
            found.setdefault(number, set()).add(words.concept(after))
    return {number: frozenset(concepts) for number, concepts in found.items()}


def _one(tokens: list[str], place: int, words: Lexicon) -> str:
    """The number or concept that begins there."""
    value, taken = spelled(tokens, place, words.language)
    return str(value) if taken else canonical(tokens[place]) or words.concept(tokens[place])


def _owning(lower: str, words: Lexicon) -> dict[str, frozenset[str]]:
    """Whose something is: `my father's boss` is not `my boss's father`."""
    owners = frozenset(words.concept(word) for word in _POSSESSIVE.findall(lower) if word not in words.stopwords)
    return {"owner": owners} if owners else {}
