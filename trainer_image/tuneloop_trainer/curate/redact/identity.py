"""National numbers of people and companies: Brazil's carry check digits, those of the United States do not."""

import re
from collections.abc import Iterator, Sequence

from tuneloop_trainer.curate.redact.digits import Window

_CPF = re.compile(r"(?:(?<![\w.])|(?<=CPF))\d{3}[. ]?\d{3}[. ]?\d{3}[-/ ]?\d{2}(?!\w)")
_CALLED_CPF = re.compile(r"\bcpf\b[^\d\n]{0,20}$", re.IGNORECASE)
_CNPJ = re.compile(r"(?<![\w.])(?:\d{2}\.?\d{3}\.?\d{3}/?\d{4}-?\d{2})(?!\w)")
_CNPJ_OF_LETTERS = re.compile(r"(?<![\w.])[A-Za-z0-9]{2}\.[A-Za-z0-9]{3}\.[A-Za-z0-9]{3}/[A-Za-z0-9]{4}-\d{2}(?!\w)")
_CALLED_CNPJ = re.compile(r"\bcnpj\b[^\d\n]{0,20}?(?<![^\W_])([A-Z0-9]{12}\d{2})(?!\w)", re.IGNORECASE)
_CNPJ_WEIGHTS = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
_SSN = re.compile(r"(?<![\w.-])(?!000|666|9)\d{3}([ -]?)(?!00)\d{2}\1(?!0000)\d{4}(?![\w-])")
_CALLED_SSN = re.compile(r"\b(?:ssn|social security)\b[^\d\n]{0,30}$", re.IGNORECASE)


def cpfs(window: Window) -> Iterator[tuple[int, int]]:
    for match in window.matches(_CPF):
        digits = _values(match.group())
        if " " in match.group() and not _CALLED_CPF.search(window.text, max(0, match.start() - 30), match.start()):
            continue
        if len(set(digits)) > 1 and all(_mod_11(digits[:n], range(n + 1, 1, -1)) == digits[n] for n in (9, 10)):
            yield match.span()


def cnpjs(window: Window) -> Iterator[tuple[int, int]]:
    """In print, or fourteen bare digits of a company's first thousand branches: else one timestamp in a hundred would pass."""
    for match in window.matches(_CNPJ):
        digits = _values(match.group())
        if (len(digits) < len(match.group()) or digits[8:11] == [0, 0, 0]) and _is_cnpj(digits):
            yield match.span()


def cnpjs_of_letters(text: str) -> Iterator[tuple[int, int]]:
    """As they are given since July 2026: letters too, each worth its ASCII code less 48 (Receita Federal, IN RFB 2.229/2024)."""
    return (match.span() for match in _CNPJ_OF_LETTERS.finditer(text) if _is_cnpj(_values(match.group())))


def called_cnpjs(text: str) -> Iterator[tuple[int, int]]:
    """Of letters and digits in one: only where the text calls it so."""
    return (match.span(1) for match in _CALLED_CNPJ.finditer(text) if _is_cnpj(_values(match[1])))


def ssns(window: Window) -> Iterator[tuple[int, int]]:
    """With hyphens; without them only where the text calls it so."""
    for match in window.matches(_SSN):
        if match[1] == "-" or _CALLED_SSN.search(window.text, max(0, match.start() - 50), match.start()):
            yield match.span()


def _values(text: str) -> list[int]:
    return [ord(c) - ord("0") for c in text.upper() if c.isalnum()]


def _is_cnpj(values: list[int]) -> bool:
    return len(set(values)) > 1 and all(_mod_11(values[:n], _CNPJ_WEIGHTS[13 - n :]) == values[n] for n in (12, 13))


def _mod_11(values: Sequence[int], weights: Sequence[int]) -> int:
    """The check digit of Receita Federal: eleven less the weighted sum's remainder, ten and eleven being zero."""
    rest = sum(value * weight for value, weight in zip(values, weights, strict=True)) % 11
    return 0 if rest < 2 else 11 - rest
