"""Words that the other text writes as one: `gift card` and `giftcard`, `sign-in` and `signin`."""

import re
from itertools import pairwise

_WORDS = re.compile(r"[^\W\d_]+")
SHORTEST = 6
"""Letters of a word that is two: shorter ones (`in to`) are of grammar."""


def joined(text: str, other: str) -> str:
    """`text` with neighbours that are one word of `other`, and not of its own, as that word."""
    here, there = (_WORDS.findall(one.lower()) for one in (text, other))
    one_word = set(there) - set(here)
    for first, second in pairwise(here):
        if len(first + second) >= SHORTEST and first + second in one_word:
            text = re.sub(rf"\b{first}[ -]{second}\b", first + second, text, flags=re.IGNORECASE)
    return text
