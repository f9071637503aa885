"""Cards and bank accounts: both carry check digits."""

import re
from collections.abc import Iterator

from tuneloop_trainer.curate.redact.digits import Window, groups_of

_LENGTHS = range(12, 20)
_CARD = re.compile(r"(?<![\w.])(?<!\b0,)(?:\d[\d \u00a0-]{10,60}\d|(?:\d{4}\.){3}\d{4})(?!\w)")
"""After a comma too, as in a file of such values; not the digits of "0,4111..."."""
_CALLED_CARD = re.compile(r"\b(?:cards?|cart(?:ão|ao|ões)|visa|master ?card|amex|maestro)\b[^\d\n]{0,30}$", re.IGNORECASE)
_ISSUERS: tuple[tuple[str, str, range], ...] = (
    ("4", "4", range(16, 20, 3)), ("51", "55", range(16, 17)), ("2221", "2720", range(16, 17)), ("34", "34", range(15, 16)),
    ("37", "37", range(15, 16)), ("300", "305", range(14, 20)), ("36", "36", range(14, 20)), ("38", "39", range(14, 20)),
    ("3528", "3589", range(16, 20)), ("50", "50", range(16, 20)), ("56", "69", range(16, 20)),
)  # fmt: skip
"""First and last prefix of ISO/IEC 7812 numbers, and their lengths: Visa, Mastercard, American Express, Diners, JCB, and the rest
(Maestro, Discover, UnionPay, Elo, Hipercard). Others pass only where the text says "card": one number in ten passes Luhn, and bar codes
have 13 digits."""

_IBAN = re.compile(r"\d{2}(?<=[A-Za-z]{2}\d{2})(?<![^\W_][A-Za-z]{2}\d{2})(?=[ -]?[A-Za-z0-9])")
"""Its check digits: two letters stand before them, and no third; a search for digits is quicker than one for letters."""
_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in (line.split(" ", 1) for line in (
        "15 NO", "16 BE", "18 DK FI FO GL NL SD", "19 MK SI", "20 AT BA EE KZ LT LU MN XK", "21 CH HR LI LV",
        "22 BG BH CR DE GB GE IE ME RS VA", "23 AE GI IL IQ OM SO TL", "24 AD CZ ES MD PK RO SA SE SK TN VG", "25 LY PT ST",
        "26 IS TR", "27 BI DJ FR GR IT MC MR SM", "28 AL AZ BY CY DO GT HN HU LB NI PL SV", "29 BR EG PS QA UA", "30 JO KW MU YE",
        "31 MT SC", "32 LC", "33 RU",
    ))
    for country in countries.split()
}  # fmt: skip
"""Of the SWIFT registry of ISO 13616: with the length of its country a number ends where it ends."""


def cards(window: Window) -> Iterator[tuple[int, int]]:
    """Neighbouring groups of digits that together pass Luhn: "order 22 4111 1111 1111 1111 12/27" holds one card, not none."""
    for match in window.matches(_CARD):
        groups = groups_of(match)
        first = 0
        while first < len(groups):  # 19 digits in groups of 3 and more are 6 groups at most
            ends = range(min(len(groups), first + 6), first, -1)
            called = first == 0 and _is_called_card(match)
            last = next((n for n in ends if _is_card([digits for _, _, digits in groups[first:n]], called and n == len(groups))), None)
            if last:
                yield groups[first][0], groups[last - 1][1]
            first = last or first + 1


def ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN.finditer(text):
        start = match.start() - 2
        end = _end_of(text, start, _IBAN_LENGTHS.get(text[start : start + 2].upper(), 0))
        if end and passes_97(re.sub("[ -]", "", text[start:end])):
            yield start, end


def passes_luhn(number: str) -> bool:
    """ISO/IEC 7812: every second digit from the right doubled, the digits' sum a multiple of ten."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(number)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def passes_97(iban: str) -> bool:
    """ISO 7064: letters as numbers from ten on, the first four characters last; the remainder by 97 is one."""
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def _is_card(groups: list[str], called: bool) -> bool:
    """By its issuer, or a whole number that the text calls a card: a part of another is none."""
    number = "".join(groups)
    if len(number) not in _LENGTHS or (len(groups) > 1 and min(map(len, groups)) < 3) or len(set(number)) == 1:
        return False
    return passes_luhn(number) and (called or _is_issued(number))


def _is_called_card(match: re.Match[str]) -> bool:
    return _CALLED_CARD.search(match.string, max(0, match.start() - 45), match.start()) is not None


def _is_issued(number: str) -> bool:
    return any(first <= number[: len(first)] <= last and len(number) in lengths for first, last, lengths in _ISSUERS)


def _end_of(text: str, start: int, length: int) -> int | None:
    """Where so many letters and digits end, with at most one space or hyphen between two; None if a longer word goes on there."""
    place, last = start, ""
    while length and place < len(text):
        if text[place].isascii() and text[place].isalnum():
            length -= 1
        elif text[place] not in " -" or last in " -":
            return None
        last = text[place]
        place += 1
    goes_on = place < len(text) and text[place].isalnum()
    return None if length or goes_on or place == start else place
