"""Slips of the keys in English words: one letter too many, missing, wrong, or two swapped."""

from functools import cache
from string import ascii_lowercase

from tuneloop_server.semcache.guard.lexicon import words_of
from tuneloop_vectors.files import minilm_file


@cache
def vocabulary() -> dict[str, int]:
    """English words by how common they are: some 20,000 of MiniLM's own list, and those of our lists."""
    pieces = minilm_file("vocab.txt").read_text("utf-8").split("\n")
    ours = {word: len(pieces) for word in words_of("en")}
    return ours | {piece: rank for rank, piece in enumerate(pieces) if piece.isalpha() and piece.isascii()}


@cache
def corrected(word: str) -> str:
    """The commonest word that is one slip away from one that is none; `word` itself when it is known or nothing is near."""
    known = vocabulary()
    if word in known or any(word.endswith(end) and word.removesuffix(end) in known for end in ("s", "es", "ed", "d", "ing", "ly", "er")):
        return word
    near = [other for other in _one_slip_from(word) if other in known and len(other) >= 4]
    return min(near, key=known.__getitem__, default=word)


def _one_slip_from(word: str) -> set[str]:
    """After Norvig, How to Write a Spelling Corrector; the first letter is taken as right."""
    cuts = [(word[:place], word[place:]) for place in range(1, len(word) + 1)]
    missing = {left + right[1:] for left, right in cuts if right}
    swapped = {left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1}
    wrong = {left + letter + right[1:] for left, right in cuts if right for letter in ascii_lowercase}
    return missing | swapped | wrong | {left + letter + right for left, right in cuts for letter in ascii_lowercase}
