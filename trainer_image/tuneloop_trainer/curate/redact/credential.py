"""Secrets of programs: private keys, tokens, API keys."""

import base64
import re
from collections.abc import Iterator
from contextlib import suppress

_PEM_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PEM_LINES = re.compile(r"(?:(?:\s|\\n)+[A-Za-z0-9+/=]{20,})*")
"""Of a key whose end was cut off."""

_JWT = re.compile(r"eyJ(?<![\w-]eyJ)[\w-]{8,}\.(?:eyJ[\w-]{4,}\.[\w-]*|[\w-]*\.[\w-]+\.[\w-]+\.[\w-]+)")
"""RFC 7519: three parts, of which two are JSON; or five, encrypted."""

_FORMS = {
    "sk-": r"(?:(?:ant|proj|svcacct|admin|or)-[\w-]{20,}|[A-Za-z0-9]{20,})",  # OpenAI, Anthropic, OpenRouter
    "AKIA": r"[A-Z0-9]{16}", "ASIA": r"[A-Z0-9]{16}",  # AWS
    "gh": r"[pousr]_[A-Za-z0-9]{30,}", "github_pat_": r"\w{22,}", "glpat-": r"[\w-]{20,}",
    "xox": r"(?:e\.xox[bp]|[abeoprs])-[\w-]{10,}", "xapp-": r"[\w-]{10,}", "https://hooks.slack.com/": r"services/[\w/]{20,}",
    "sk_": r"(?:(?:live|test)_[A-Za-z0-9]{10,}|[a-f0-9]{48})", "pk_": r"(?:live|test)_[A-Za-z0-9]{10,}",
    "rk_": r"(?:live|test)_[A-Za-z0-9]{10,}", "whsec_": r"[A-Za-z0-9+/]{20,}",  # Stripe, as the three before it
    "AIza": r"[\w-]{35}", "GOCSPX-": r"[\w-]{20,}", "ya29.": r"[\w-]{20,}",  # Google
    "hf_": r"[A-Za-z0-9]{30,}", "npm_": r"[A-Za-z0-9]{36}", "pypi-": r"AgE[\w-]{50,}", "SG.": r"[\w-]{16,64}\.[\w-]{16,}",
    "dop_v1_": r"[a-f0-9]{64}", "shp": r"(?:at|ca|pa|ss)_[a-fA-F0-9]{32}", "gsk_": r"[A-Za-z0-9]{40,}",
    "doo_v1_": r"[a-f0-9]{64}", "dckr_pat_": r"[\w-]{20,}", "dapi": r"[a-f0-9]{32}(?:-\d)?", "xai-": r"[A-Za-z0-9]{40,}",
    "pplx-": r"[A-Za-z0-9]{40,}", "nvapi-": r"[\w-]{40,}", "tvly-": r"[\w-]{20,}", "r8_": r"[A-Za-z0-9]{30,}", "key-": r"[a-f0-9]{32}",
    "SK": r"[a-f0-9]{32}", "sq0": r"(?:atp|csp)-[\w-]{20,}", "EAAA": r"[\w-]{60}", "lin_api_": r"[A-Za-z0-9]{32,}",
    "hvs.": r"[\w-]{20,}", "PMAK-": r"[a-f0-9]{24}-[a-f0-9]{34}", "ntn_": r"[A-Za-z0-9]{40,}", "secret_": r"[A-Za-z0-9]{43}",
    "lsv2_": r"(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}", "sbp_": r"[a-f0-9]{40}", "sb_secret_": r"[\w-]{20,}", "glsa_": r"\w{32}_[a-f0-9]{8}",
    "NRAK-": r"[A-Z0-9]{27}", "ATATT3": r"[\w=-]{60,}", "figd_": r"[\w-]{40,}", "dp.": r"(?:pt|st|ct)\.[\w.-]{40,}",
    "AGE-SECRET-KEY-1": r"[A-Z0-9]{50,}", "pat": r"[A-Za-z0-9]{14}\.[a-f0-9]{64}", "pat-": r"(?:na|eu)\d-[a-f0-9-]{36}",
    "gl": r"(?:ptt|dt|cbt|ft|rt|soat|agent)-[\w-]{20,}", "dor_v1_": r"[a-f0-9]{64}", "sntry": r"[su]_[\w+/=-]{40,}", "nfp_": r"\w{36,}",
    "sq": r"[upa]_[a-f0-9]{40}", "rubygems_": r"[a-f0-9]{48}", "pul-": r"[a-f0-9]{40}", "pscale_": r"(?:tkn|pw|oauth)_[\w.-]{32,}",
    "xkeysib-": r"[a-f0-9]{64}-[A-Za-z0-9]{16}", "LTAI": r"[A-Za-z0-9]{17,21}", "hvb.": r"[\w-]{24,}", "glc_": r"[A-Za-z0-9+/=]{32,}",
    "pcsk_": r"\w{40,}", "re_": r"[A-Za-z0-9]{8}_[A-Za-z0-9]{24}", "tgp_v1_": r"[\w-]{40,}", "fw_": r"[A-Za-z0-9]{22,}",
    "APP_USR-": r"\d{13,19}-[\w-]{20,}", "sgp_": r"(?:[a-f0-9]+_)?[a-f0-9]{40}",
    "EAA": r"[MC]?[A-Za-z0-9]{90,}", "duffel_": r"(?:test|live)_[\w-]{43}", "ops_eyJ": r"[\w-]{60,}",
    "dt0c01.": r"[A-Z0-9]{24}\.[A-Z0-9]{64}",
}  # fmt: skip
"""How a key begins, and goes on, by its issuer's documents."""
_KEYS = tuple((begin, re.compile(rf"(?<![\w-]){re.escape(begin)}{rest}(?!\w)")) for begin, rest in _FORMS.items())

_KEYS_AROUND = (
    (":AA", re.compile(r"(?<!\d)\d{8,10}:AA[\w-]{32,33}(?![\w-])")),  # Telegram
    (".atlasv1.", re.compile(r"(?<![\w.])[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,70}(?![\w-])")),  # Terraform
    ("-us", re.compile(r"(?<!\w)[a-f0-9]{32}-us\d{1,2}(?!\w)")),  # Mailchimp
)
"""Known by what is within."""

_IS = r"[\w-]{0,16}[\"']?\s{0,3}(?:=>?|:|\bis\b|\bé\b)\s{0,3}[\"'`]?"
_VALUE = r"([A-Za-z0-9_\-+/.~]{15,}[A-Za-z0-9_\-+/~]={0,2})"
_PASSWORD_NAMES = ("password", "passwd", "pwd", "senha")
_NAMES = dict.fromkeys(("key", "token", "secret", "chave", *_PASSWORD_NAMES), _IS)
_NAMES |= dict.fromkeys(("bearer", "basic", "api key"), r"\s{1,3}")
_NAMED = tuple((name, re.compile(name + between + _VALUE, re.IGNORECASE)) for name, between in _NAMES.items())
"""What a text calls a secret, and the secret."""
SHORTEST = 15
"""Characters of the shortest of them all, `xapp-` and ten: a text without so long a word needs no seventy looks,
and another only at its long words."""
_LONG_WORD = b"x" * SHORTEST
_AS_WORDS = b"".join(b" " if bytes((byte,)).isspace() else b"x" for byte in range(256))
"""All that is no space as one letter: to look for a long word so takes a third of the time of cutting the text into words."""

_WORD = r"""(?![$/~*])([^\s"'`,;()<>\[\]{}]{5,63}[^\s"'`,;()<>\[\]{}.:])(?![(\[{<])"""
_SAID = r"""["']?(?:\s{0,3}[:=]\s{0,3}|\s(?:is|é)\s(?=[^\s-]+(?:\s|$)))["'`]?"""
_PASSWORDS = tuple((name, re.compile(name + _SAID + _WORD, re.IGNORECASE)) for name in _PASSWORD_NAMES)
"""And a word of six characters or more; a path, a template (`${PASSWORD}`) or a call is none, nor is what "is SHA-256"."""
_IDENTIFIER = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
"""`DB_PASSWORD_2` or `config.password2`: where programs keep theirs."""


def pems(text: str) -> Iterator[tuple[int, int]]:
    end = 0
    while (begin := _PEM_BEGIN.search(text, end)) is not None:
        closing = _PEM_END.search(text, begin.end())
        if closing is None:
            yield from ((match.start(), _cut_off(text, match.end())) for match in _PEM_BEGIN.finditer(text, begin.start()))
            return
        end = closing.end()
        yield begin.start(), end


def jwts(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _JWT.finditer(text))


def api_keys(text: str) -> Iterator[tuple[int, int]]:
    """By the form that an issuer gives them; of no known form, by what the text calls them and by looking random."""
    if _LONG_WORD not in text.encode(errors="surrogatepass").translate(_AS_WORDS):
        return
    long_words = " ".join([word for word in text.split() if len(word) >= SHORTEST])
    for begin, form in _KEYS:
        if begin in long_words:
            yield from (match.span() for match in _at_each(begin, form, text, text) if len(set(match.group())) > 9)
    for sign, form in _KEYS_AROUND:
        if sign in long_words:
            yield from (match.span() for match in form.finditer(text))
    lower = text.replace("İ", "I").lower()  # the one letter that would move the others
    for name, form in _NAMED:
        if name in lower:
            yield from (match.span(1) for match in _at_each(name, form, lower, text) if _is_secret(name, match[1]))


def passwords(text: str) -> Iterator[tuple[int, int]]:
    """What stands after "password:" and has a digit or a sign: "password: string" says only what belongs there."""
    if not (":" in text or "=" in text or "ssword" in text or "senha" in text):
        return
    lower = text.replace("İ", "I").lower()
    for name, form in _PASSWORDS:
        if name in lower:
            yield from (match.span(1) for match in _at_each(name, form, lower, text) if _is_password(match[1]))


def _at_each(word: str, form: re.Pattern[str], where: str, text: str) -> Iterator[re.Match[str]]:
    """Matches that begin with a word; looking for a word is ten times quicker than for a form."""
    at = where.find(word)
    while at >= 0:
        if match := form.match(text, at):
            yield match
        at = where.find(word, match.end() if match else at + 1)


def _is_secret(name: str, value: str) -> bool:
    """What a header bears is nothing else: of an opaque token a digit is enough, and a basic one says who, a colon, and the password."""
    if name == "basic":
        with suppress(ValueError):
            return b":" in base64.b64decode(value, validate=True)
        return False
    return any(map(str.isdecimal, value)) if name == "bearer" else looks_random(value)


def _is_password(value: str) -> bool:
    return any(c.isdecimal() or c in "!@#%^&+?" for c in value.rstrip("!?")) and not _IDENTIFIER.fullmatch(value)


def looks_random(text: str) -> bool:
    """Letters and digits that take turns, as in no word, path or name; and not a UUID, which names more often than it opens."""
    turns = len(re.findall(r"[A-Za-z](?=\d)|\d(?=[A-Za-z])", text)) + len(re.findall(r"[a-z](?=[A-Z])", text)) / 2
    return turns >= 3 and len(set(text)) >= 8 and not re.fullmatch(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text)


def _cut_off(text: str, start: int) -> int:
    lines = _PEM_LINES.match(text, start)
    return lines.end() if lines else start
