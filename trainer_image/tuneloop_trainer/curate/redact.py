"""Personal data out of a text: by pattern, and by check digits wherever the number has them.

Replaced by the kind in brackets, so that a model learns that something stood there. Names and street addresses have no pattern
and stay: that is for people to know before they train.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tuneloop_trainer.curate.example import Example


@dataclass(frozen=True)
class Kind:
    """One kind of personal data: a pattern that proposes, a function that cuts what it confirms."""

    name: str
    mark: str
    pattern: re.Pattern[str]
    spans: Callable[[re.Match[str]], Iterator[tuple[int, int]]]


def redact(text: str) -> tuple[str, list[str]]:
    """The text without what was found, and the kind of each find."""
    found: list[str] = []
    for kind in KINDS:
        spans = [span for match in kind.pattern.finditer(text) for span in kind.spans(match)]
        for start, end in reversed(spans):
            text = text[:start] + kind.mark + text[end:]
        found += [kind.name] * len(spans)
    return text, found


def redact_example(example: Example) -> Example:
    """All messages and the answer."""
    found: list[str] = []
    messages = []
    for message in example.messages:
        content, kinds = redact(message["content"])
        messages.append({**message, "content": content})
        found += kinds
    answer, kinds = redact(example.answer)
    return replace(example, messages=tuple(messages), answer=answer, redacted=(*found, *kinds))


def _whole(match: re.Match[str]) -> Iterator[tuple[int, int]]:
    yield match.span()


def _card(match: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Neighbouring groups of digits that together pass Luhn: "order 22 4111 1111 1111 1111 12/27" holds one card, not none."""
    groups = [(m.start() + match.start(), m.end() + match.start(), m.group()) for m in re.finditer(r"\d+", match.group())]
    first = 0
    while first < len(groups):  # 19 digits in groups of 3 and more are 6 groups at most
        last = next((n for n in range(min(len(groups), first + 6), first, -1) if _is_card([g for _, _, g in groups[first:n]])), None)
        if last:
            yield groups[first][0], groups[last - 1][1]
        first = last or first + 1


def _is_card(groups: list[str]) -> bool:
    number = "".join(groups)
    if not 13 <= len(number) <= 19 or (len(groups) > 1 and min(map(len, groups)) < 3):
        return False
    starts_like_one = number[0] in "3456" or (len(number) == 16 and 2221 <= int(number[:4]) <= 2720)  # else a timestamp may pass
    return starts_like_one and passes_luhn(number)


def passes_luhn(number: str) -> bool:
    """ISO/IEC 7812: every second digit from the right doubled, the digits' sum a multiple of ten."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(number)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def _cpf(match: re.Match[str]) -> Iterator[tuple[int, int]]:
    digits = [int(c) for c in match.group() if c.isdigit()]
    if len(set(digits)) > 1 and all(_mod_11(digits[:n], range(n + 1, 1, -1)) == digits[n] for n in (9, 10)):
        yield match.span()


def _cnpj(match: re.Match[str]) -> Iterator[tuple[int, int]]:
    digits = [int(c) for c in match.group() if c.isdigit()]
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    if len(set(digits)) > 1 and all(_mod_11(digits[:n], weights[13 - n :]) == digits[n] for n in (12, 13)):
        yield match.span()


def _mod_11(digits: list[int], weights: "range | tuple[int, ...]") -> int:
    """The check digit of Receita Federal: eleven less the weighted sum's remainder, ten and eleven being zero."""
    rest = sum(digit * weight for digit, weight in zip(digits, weights, strict=True)) % 11
    return 0 if rest < 2 else 11 - rest


def _iban(match: re.Match[str]) -> Iterator[tuple[int, int]]:
    """ISO 13616, modulo 97; a word in capitals after it is let go."""
    text = match.group()
    ends = [len(text), *(m.start() for m in reversed(list(re.finditer(" ", text))))]
    end = next((end for end in ends if _passes_97(text[:end].replace(" ", ""))), None)
    if end:
        yield match.start(), match.start() + end


def _passes_97(iban: str) -> bool:
    return 15 <= len(iban) <= 34 and int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def _address(match: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Not the local host, not a mask, not a version of four parts."""
    before = match.string[max(0, match.start() - 12) : match.start()]
    if not match.group().startswith(("0.", "127.", "255.")) and not re.search(r"(version|versão|release|\bv)\W*$", before, re.IGNORECASE):
        yield match.span()


def _phone(match: re.Match[str]) -> Iterator[tuple[int, int]]:
    """8 to 15 digits (ITU-T E.164), and not two years."""
    digits = sum(c.isdigit() for c in match.group())
    if 8 <= digits <= 15 and not re.search(r"\b(19|20)\d\d-(19|20)\d\d$", match.group()):
        yield match.span()


_PHONES = "|".join((
    r"(?:\+|\b00)[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,5}(?:[ .-]?\d{2,5}){1,4}",  # +55 11 91234-5678, 0044 20 7946 0958
    r"(?:\b1[ .-])?(?:\(\d{3}\) ?|\b\d{3}[ .-])\d{3}[ .-]\d{4}",  # (555) 123-4567
    r"(?:\(0?[1-9]{2}\) ?|\b0?[1-9]{2}[ -])(?:9[ .]?\d{4}|[2-5]\d{3})[ .-]?\d{4}",  # (11) 91234-5678, 11 3456-7890
    r"\b[1-9]{2}9\d{8}",  # 11912345678
    r"\b9\d{4}-\d{4}",  # 91234-5678
    r"\b0[1-9](?:[ .-]\d{2}){4}",  # 06 12 34 56 78
    r"\b0[1-9]\d{1,3}[ /-]\d{3,4}[ -]?\d{3,4}",  # 020 7946 0958, 0151 23456789
))  # fmt: skip

KINDS: tuple[Kind, ...] = (
    # begins only where a run of such characters begins: else a long blob costs the square of its length
    Kind("Email", "[EMAIL]", re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b"), _whole),
    Kind("Iban", "[IBAN]", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), _iban),
    Kind("Card", "[CARD]", re.compile(r"(?<![\w.,])\d[\d \u00a0-]{11,60}\d(?!\w)"), _card),
    Kind("Cnpj", "[CNPJ]", re.compile(r"(?<![\w.])\d{2}\.?\d{3}\.?\d{3}/?\d{4}-?\d{2}(?!\w)"), _cnpj),
    Kind("Cpf", "[CPF]", re.compile(r"(?<![\w.])\d{3}\.?\d{3}\.?\d{3}-?\d{2}(?!\w)"), _cpf),
    Kind("Ip", "[IP]", re.compile(r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\w|\.\d)"), _address),
    Kind("Phone", "[PHONE]", re.compile(rf"(?<![\w.,/$€£-])(?:{_PHONES})(?![\w%]|[.,/-]\d)"), _phone),
)
"""Those with check digits first: a card number also looks like a telephone's."""
