"""Acronyms that another text spells out: `ATM` and `automated teller machine`."""

import re

_SHORT = re.compile(r"\b[A-Z]{3,6}\b")
_SMALL = r"(?:[\s-]+(?:of|and|the|for))?[\s-]+"


def shortened(text: str, other: str) -> str:
    """`text` with words whose initials are an acronym of `other`, and not of its own, as that acronym. Of three letters and more: two
    words of any two initials are soon found."""
    for acronym in set(_SHORT.findall(other)) - set(_SHORT.findall(text)):
        spelled = _SMALL.join(rf"{letter}[a-z]+" for letter in acronym)
        text = re.sub(rf"\b{spelled}\b", acronym, text, flags=re.IGNORECASE)
    return text
