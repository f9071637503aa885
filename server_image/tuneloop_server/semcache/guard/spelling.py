"""Slips of the keys in English words: one letter too many, missing, wrong, or two swapped."""

import re
from functools import cache
from string import ascii_lowercase

from tuneloop_server.semcache.guard.lexicon import spelled_words_of, words_of
from tuneloop_vectors.files import minilm_file

_PLAIN = re.compile(r"(?:^[A-Z]|(?<![\w'/.@-])[a-z])[a-z]{2,19}(?![\w'/@-]|\.\w)")
"""Words without a capital, but for the first of a text: a name may look like another's slip."""


def beside(text: str, other: str) -> str:
    """`text` with the words that are none, but one slip away from a word that only `other` has, as that one has them: there, many words
    may be near and one is meant."""
    here, there = (set(re.findall(r"[a-z]+", one.lower())) for one in (text, other))
    strange = [word for word in here - there if len(word) >= 3 and word not in vocabulary()]
    meant = {word: right for word in strange for right in there - here if _meant(word, right)}
    return _PLAIN.sub(lambda found: meant.get(found[0].lower(), found[0]), text) if meant else text


def _meant(word: str, right: str) -> bool:
    """It is a word that we know; a long one, even after two slips (recepie). Of two unknown ones, so long that two words are hardly that
    near, one stands for both."""
    if _known(right):
        return (len(right) >= 4 and one_slip(word, right)) or (min(len(word), len(right)) >= 6 and two_slips(word, right))
    letters = 8 if len(word) == len(right) else 6
    return not _known(word) and len(right) >= letters and right < word and one_slip(word, right)


def one_slip(a: str, b: str) -> bool:
    """One letter too many, missing, wrong, or two swapped, and not the first."""
    if a[0] != b[0] or abs(len(a) - len(b)) > 1:
        return False
    start = next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    swapped = a[start : start + 2] == b[start : start + 2][::-1] and a[start + 2 :] == b[start + 2 :]
    return swapped or any(a[start + x :] == b[start + y :] for x, y in ((1, 1), (1, 0), (0, 1)))


def two_slips(a: str, b: str) -> bool:
    """One slip away from what is one slip away, and not at the beginning: onboarding is no slip of offboarding."""
    return a[:3] == b[:3] and any(one_slip(between, b) for between in _one_slip_from(a))


@cache
def vocabulary() -> dict[str, int]:
    """English words by how common they are: some 20,000 of MiniLM's own list, and those of our lists."""
    pieces = minilm_file("vocab.txt").read_text("utf-8").split("\n")
    ours = {word: len(pieces) for word in spelled_words_of("en")}
    return ours | {piece: rank for rank, piece in enumerate(pieces) if piece.isalpha() and piece.isascii()}


def _known(word: str) -> bool:
    known = vocabulary()
    return word in known or any(word.endswith(end) and word.removesuffix(end) in known for end in ("s", "es", "ed", "d", "ing", "ly", "er"))


@cache
def corrected(word: str) -> str:
    """The commonest word of our lists that is one slip away from one that is none; `word` itself when it is known or nothing is near.
    A rare word (overheat) is no slip of just any other (overhead)."""
    if _known(word):
        return word
    near = [other for other in _one_slip_from(word) & words_of("en") if len(other) >= 4]
    return min(near, key=vocabulary().__getitem__, default=word)


def _one_slip_from(word: str) -> set[str]:
    """After Norvig, How to Write a Spelling Corrector; the first letter is taken as right."""
    cuts = [(word[:place], word[place:]) for place in range(1, len(word) + 1)]
    missing = {left + right[1:] for left, right in cuts if right}
    swapped = {left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1}
    wrong = {left + letter + right[1:] for left, right in cuts if right for letter in ascii_lowercase}
    return missing | swapped | wrong | {left + letter + right for left, right in cuts for letter in ascii_lowercase}
