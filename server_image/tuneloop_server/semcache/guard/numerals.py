"""Numbers in a text, spelled ones too, each in one form: `3`, `three`, `3rd` and `03` are the same."""

import re

_UNITS = {
    "en": "zero one two three four five six seven eight nine ten "
    "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
    "pt": "zero um dois três quatro cinco seis sete oito nove dez onze doze treze quatorze quinze dezesseis dezessete dezoito dezenove",
}
_TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "pt": "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa",
}
_ORDINALS = {
    "en": "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth",
    "pt": "primeiro segundo terceiro quarto quinto sexto sétimo oitavo nono décimo",
}
_SCALES = {
    "en": {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9},
    "pt": {"cem": 100, "cento": 100, "mil": 1000, "milhão": 10**6, "milhões": 10**6},
}
_MORE_PT = {"duas": 2, "catorze": 14, "primeira": 1, "segunda": 2, "terceira": 3, "duzentos": 200, "trezentos": 300, "quinhentos": 500}
_NOT_ALONE = {"um", "uma"}
"""Portuguese articles; as numbers they are too rare to tell."""


def _small(language: str) -> dict[str, int]:
    units = {word: value for value, word in enumerate(_UNITS[language].split())}
    tens = {word: 10 * value for value, word in enumerate(_TENS[language].split(), 2)}
    ordinals = {word: value for value, word in enumerate(_ORDINALS[language].split(), 1)}
    return {**units, **tens, **ordinals, **(_MORE_PT if language == "pt" else {})}


_SMALL = {language: _small(language) for language in _UNITS}
_DIGITS = re.compile(r"^(\d[\d.,:/-]*)(st|nd|rd|th|º|ª|o|a)?$")


def spelled(words: list[str], start: int, language: str) -> tuple[int, int]:
    """The number that begins at `start`, and how many words it takes; (0, 0) if none does."""
    total = current = taken = 0
    for word in words[start:]:
        if word in _SCALES[language]:
            current = max(current, 1) * _SCALES[language][word]
            total, current = (total + current, 0) if current >= 1000 else (total, current)
        elif word in _SMALL[language] and word not in _NOT_ALONE and not (taken and _clash(current, _SMALL[language][word])):
            current += _SMALL[language][word]
        else:
            break
        taken += 1
    return total + current, taken


def _clash(current: int, value: int) -> bool:
    """`six thirty` is a time and not 36: a number takes a smaller one only after a round ten or hundred."""
    return bool(current) and (value >= 10 or current % 10 != 0 or current == 10) and current % 100 != 0


def canonical(token: str) -> str | None:
    """Of a token of digits: without an ordinal's ending, leading zeros, thousands' commas or an empty fraction. None for a word."""
    found = _DIGITS.match(token)
    if not found:
        return None
    digits = re.sub(r",(?=\d{3}\b)", "", found[1].rstrip(".,:/-"))
    parts = [part.lstrip("0") or "0" for part in re.split(r"([.,:/-])", digits)]
    return re.sub(r"\.0$", "", "".join(parts))
