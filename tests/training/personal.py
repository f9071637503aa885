"""Texts with personal data in known places, and texts that only look so: templates times generated values, a fixed seed.

The values are made here from the standards' own rules, not by the code under test.
"""

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tuneloop_trainer.curate.redact.span import Kind, Span


@dataclass(frozen=True)
class Labelled:
    text: str
    spans: tuple[Span, ...]


TEMPLATES: dict[Kind, tuple[str, ...]] = {
    Kind.EMAIL: (
        "write to {}, please",
        "My e-mail is {}.",
        "<{}>",
        "Contact: {} or the desk",
        "meu e-mail é {}, obrigado",
        "envie para {}",
        "mailto:{}",
        '"{}"',
        "({})",
        "cc {};",
        "Ana,{},SP",
        "?email={}&next=1",
        r"Hi\n{}\nBye",
    ),
    Kind.PHONE: (
        "call me at {} please",
        "My phone number is {}.",
        "tel: {}",
        "WhatsApp {}, any time",
        "meu telefone é {}.",
        "ligue para {} amanhã",
        "Phone ({})",
        "Tel.: {}\nThanks",
        "o celular dela: {}; obrigado",
        "you can reach me on {}",
        "Ana,{},SP",
        "?phone={}&text=oi",
        r"call\n{}\nBye",
    ),
    Kind.CARD: (
        "my card is {}.",
        "I paid with {} yesterday",
        "card number: {}, exp 12/27",
        "Visa {} was declined",
        "meu cartão {} foi recusado",
        "cobraram no cartão {}!",
        "order 22 {}",
        "({})",
        "Ana,{},12/27",
        "?card={}&cvv=123",
        r"pay\n{}\nBye",
    ),
    Kind.IBAN: (
        "IBAN {}",
        "transfer it to {}.",
        "my account: {}, thanks",
        "pague para {} hoje",
        "IBAN:{}",
        "({}) is mine",
        "to {} TODAY",
        "Ana,{},SP",
        "_{}_",
    ),
    Kind.IP: ("from {} at night", "my address is {}.", "ping {}", "[{}]:8080", "http://{}/index", "o servidor {} caiu", "IP {}, port 22"),
    Kind.CPF: (
        "CPF {}",
        "my cpf is {}.",
        "meu CPF é {}, pode confirmar?",
        "CPF:{}",
        "({})",
        "titular {} confirmado",
        "Ana,{},SP",
        r"\n{}\n",
    ),
    Kind.CNPJ: ("CNPJ {}", "our company, {}.", "a empresa de CNPJ {} emitiu a nota", "CNPJ: {}, SP", "({})"),
    Kind.SSN: ("My SSN is {}.", "ssn {}", "social security number: {}, thanks", "SSN: {}", "her social security ({})"),
    Kind.JWT: ("token {}", "Authorization: Bearer {}", "it says {} expired.", "o token é {}", '"{}"', "?jwt={}"),
    Kind.API_KEY: (
        "my key is {}",
        "export API_KEY={}",
        'api_key: "{}"',
        "use {}, it works",
        "a chave é {}.",
        "Authorization: Bearer {}",
        "`{}`",
    ),
    Kind.PEM: ("here it is:\n{}\nthanks", "{}", "key: {} is it valid?", "minha chave:\n{}"),
    Kind.URL: ("connect to {}", "DATABASE_URL={}", "see {}.", "clonei {} ontem", '"{}"', "({})"),
}


def labelled(per_template: int = 4, seed: int = 0) -> Iterator[Labelled]:
    rng = random.Random(seed)
    for kind, templates in TEMPLATES.items():
        for number in range(per_template * len(templates)):
            template, value = templates[number % len(templates)], VALUES[kind](rng)
            start = template.index("{}")
            yield Labelled(template.replace("{}", value), (Span(start, start + len(value), kind),))


def look_alikes(times: int = 12, seed: int = 0) -> Iterator[str]:
    rng = random.Random(seed)
    for _ in range(times):
        yield from (make(rng) for make in LOOK_ALIKES)


def digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def word(rng: random.Random, alphabet: str, count: int) -> str:
    """Never of one kind of character only: a key of 36 letters has none of its issuer's digits in one case of a thousand."""
    drawn = rng.choices(alphabet, k=count)
    drawn[1], drawn[3], drawn[5], drawn[7] = "7", "k" if "k" in alphabet else "b" if "b" in alphabet else "K", "2", "9"
    return "".join(drawn)


def grouped(rng: random.Random, text: str, sizes: tuple[int, ...], signs: str) -> str:
    sign, parts, at = rng.choice(signs.split("|")), [], 0
    for size in sizes:
        parts.append(text[at : at + size])
        at += size
    return sign.join(part for part in parts if part)


HEX, LETTERS = "0123456789abcdef", "abcdefghijklmnopqrstuvwxyz"
ALNUM = LETTERS + LETTERS.upper() + "0123456789"


def email(rng: random.Random) -> str:
    names = ("ana", "joao.silva", "m_costa", "bob+news", "maría", "x", "o-neil", "carol%sales", "J.R.Smith", "user123")
    hosts = ("example.com", "mail.example.co.uk", "empresa.com.br", "uni-koeln.de", "example.pt", "sub.example.org", "x.io", "correo.es")
    return f"{rng.choice(names)}@{rng.choice(hosts)}"


def phone(rng: random.Random) -> str:
    form = rng.choice((
        "+1 (2##) 555-01##", "(3##) 555-01##", "4##-555-01##", "5##.555.01##", "1-8##-555-01##", "+17##55501##", "+1 6## 555 01##",
        "+55 11 9####-####", "+55 (21) 9####-####", "(31) 9####-####", "41 9####-####", "(51) 3###-####", "+5511 9########"[:14],
        "(11) 9 ####-####", "119########", "+55 85 3###-####", "+351 91# ### ###", "91# ### ###", "+351 21 ### ####", "21 ### ####",
        "93#######", "+44 20 7### ####", "020 7### ####", "+44 (0)20 7### ####", "07### ######", "+447#########", "0161 4## ####",
        "+49 30 #######", "030 #######", "+49 (0)89 ######", "0151 ########", "+49 151 ########", "030/#######", "0049 30 #######",
        "06 12 ## ## ##", "+33 6 ## ## ## ##", "01.42.##.##.##", "+33 (0)1 ## ## ## ##", "06########", "+34 6## ### ###", "6## ### ###",
        "+34 91 ### ## ##", "6## ## ## ##", "91 ### ## ##",
    ))  # fmt: skip
    return "".join(rng.choice("123456789") if c == "#" else c for c in form)


def with_luhn(number: str) -> str:
    doubled = [int(c) * 2 if place % 2 == 0 else int(c) for place, c in enumerate(reversed(number))]
    return number + str(-sum(value // 10 + value % 10 for value in doubled) % 10)


def card(rng: random.Random) -> str:
    start, length, sizes = rng.choice((
        ("4", 16, (4, 4, 4, 4)), ("5" + rng.choice("12345"), 16, (4, 4, 4, 4)), ("2221", 16, (4, 4, 4, 4)), ("34", 15, (4, 6, 5)),
        ("37", 15, (4, 6, 5)), ("6011", 16, (4, 4, 4, 4)), ("3530", 16, (4, 4, 4, 4)), ("36", 14, (4, 6, 4)), ("6062", 16, (4, 4, 4, 4)),
    ))  # fmt: skip
    number = with_luhn(start + digits(rng, length - len(start) - 1))
    return grouped(rng, number, sizes, rng.choice(("", " ", "-")) or "")


def iban(rng: random.Random) -> str:
    country, bban = rng.choice((
        ("DE", digits(rng, 18)), ("GB", "WEST" + digits(rng, 14)), ("FR", digits(rng, 11) + "0500013M026" + digits(rng, 1)),
        ("PT", digits(rng, 21)), ("ES", digits(rng, 20)), ("NL", "ABNA" + digits(rng, 10)), ("BR", digits(rng, 23) + "C1"),
        ("NO", digits(rng, 11)),
    ))  # fmt: skip
    as_number = int("".join(str(int(c, 36)) for c in bban + country + "00"))
    whole = f"{country}{98 - as_number % 97:02d}{bban}"
    return whole if rng.random() < 0.4 else " ".join(whole[n : n + 4] for n in range(0, len(whole), 4))


def ip(rng: random.Random) -> str:
    four = ".".join(str(rng.randint(2, 250)) for _ in range(4)).removeprefix("127.") or "10.0.0.7"
    four = four if four.count(".") == 3 else f"10.{four}"
    six = ":".join(["2001", "db8", *(f"{rng.randint(1, 65535):x}" for _ in range(6))])
    return rng.choice((four, four, six, f"2001:db8::{rng.randint(1, 65535):x}", f"fe80::{rng.randint(1, 65535):x}:1"))


def check_digit(values: list[int], weights: list[int]) -> int:
    rest = sum(value * weight for value, weight in zip(values, weights, strict=True)) % 11
    return 0 if rest < 2 else 11 - rest


def cpf(rng: random.Random) -> str:
    values = [rng.randint(0, 9) for _ in range(8)] + [rng.randint(1, 9)]
    values.append(check_digit(values, list(range(10, 1, -1))))
    values.append(check_digit(values, list(range(11, 1, -1))))
    number = "".join(map(str, values))
    return number if rng.random() < 0.3 else f"{number[:3]}.{number[3:6]}.{number[6:9]}-{number[9:]}"


def cnpj(rng: random.Random) -> str:
    stem = "".join(rng.choices(ALNUM[26:] if rng.random() < 0.3 else "0123456789", k=8)) + "0001"
    values = [ord(c) - 48 for c in stem]
    values.append(check_digit(values, [5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]))
    values.append(check_digit(values, [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]))
    stem += f"{values[12]}{values[13]}"
    bare = stem.isdigit() and rng.random() < 0.3
    return stem if bare else f"{stem[:2]}.{stem[2:5]}.{stem[5:8]}/{stem[8:12]}-{stem[12:]}"


def ssn(rng: random.Random) -> str:
    number = f"{rng.randint(100, 665)}", f"{rng.randint(10, 99)}", f"{rng.randint(1000, 9999)}"
    return rng.choice(("-", "-", "-", " ", "")).join(number)


def part(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def jwt(rng: random.Random) -> str:
    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': digits(rng, 8), 'iat': 1700000000})}.{word(rng, ALNUM + '-_', 42)}x"


def api_key(rng: random.Random) -> str:
    upper = LETTERS.upper() + "234567"
    return rng.choice((
        lambda: f"sk-{word(rng, ALNUM, 48)}", lambda: f"sk-proj-{word(rng, ALNUM + '-_', 60)}a",
        lambda: f"sk-ant-api03-{word(rng, ALNUM + '-_', 90)}AA",
        lambda: f"AKIA{word(rng, upper, 16)}", lambda: f"ASIA{word(rng, upper, 16)}", lambda: f"ghp_{word(rng, ALNUM, 36)}",
        lambda: f"github_pat_{word(rng, ALNUM, 22)}_{word(rng, ALNUM, 59)}",
        lambda: f"xoxb-{digits(rng, 12)}-{digits(rng, 12)}-{word(rng, ALNUM, 24)}",
        lambda: f"sk_live_{word(rng, ALNUM, 24)}", lambda: f"rk_test_{word(rng, ALNUM, 24)}", lambda: f"AIza{word(rng, ALNUM, 35)}",
        lambda: f"hf_{word(rng, ALNUM, 34)}", lambda: f"glpat-{word(rng, ALNUM, 20)}", lambda: f"npm_{word(rng, ALNUM, 36)}",
        lambda: f"SK{word(rng, HEX, 32)}", lambda: f"key-{word(rng, HEX, 32)}", lambda: f"dckr_pat_{word(rng, ALNUM, 27)}",
        lambda: f"xai-{word(rng, ALNUM, 80)}", lambda: f"r8_{word(rng, ALNUM, 37)}", lambda: f"dapi{word(rng, HEX, 32)}",
        lambda: f"lin_api_{word(rng, ALNUM, 40)}", lambda: f"sq0atp-{word(rng, ALNUM, 22)}", lambda: f"hvs.{word(rng, ALNUM, 90)}",
        lambda: f"pplx-{word(rng, ALNUM, 48)}", lambda: f"nvapi-{word(rng, ALNUM, 64)}", lambda: f"sbp_{word(rng, HEX, 40)}",
        lambda: f"PMAK-{word(rng, HEX, 24)}-{word(rng, HEX, 34)}", lambda: f"{digits(rng, 10)}:AA{word(rng, ALNUM + '-_', 32)}z",
    ))()  # fmt: skip


def pem(rng: random.Random) -> str:
    name = rng.choice(("RSA ", "EC ", "", "OPENSSH ", "ENCRYPTED "))
    lines = "\n".join(word(rng, ALNUM + "+/", 64) for _ in range(rng.randint(2, 6)))
    return f"-----BEGIN {name}PRIVATE KEY-----\n{lines}\n-----END {name}PRIVATE KEY-----"


def url(rng: random.Random) -> str:
    password = rng.choice(("s3cret", "hunter2", "p%40ss", "correct-horse", "Xy9!z"))
    return rng.choice((
        f"postgres://admin:{password}@db.example.com:5432/app", f"https://ana:{password}@example.com/path?x=1", f"redis://:{password}@10.0.0.5:6379/0",
        f"mongodb+srv://user:{password}@cluster0.example.net/test", f"amqp://guest:{password}@rabbit", f"ftp://bob:{password}@files.example.org",
    ))  # fmt: skip


VALUES: dict[Kind, Callable[[random.Random], str]] = {
    Kind.EMAIL: email, Kind.PHONE: phone, Kind.CARD: card, Kind.IBAN: iban, Kind.IP: ip, Kind.CPF: cpf, Kind.CNPJ: cnpj, Kind.SSN: ssn,
    Kind.JWT: jwt, Kind.API_KEY: api_key, Kind.PEM: pem, Kind.URL: url,
}  # fmt: skip


def wrong(number: str, place: int = -1) -> str:
    """One digit off, so that no check passes."""
    digit = str((int(number[place]) + 1) % 10)
    return number[:place] + digit + (number[place + 1 :] if place != -1 else "")


LOOK_ALIKES: tuple[Callable[[random.Random], str], ...] = (
    lambda rng: f"my card is {wrong(with_luhn('4' + digits(rng, 14)))}",
    lambda rng: f"IBAN {wrong('DE89370400440532013000', 6)}",
    lambda rng: f"CPF 529.982.247-{rng.randint(26, 99)}",
    lambda rng: f"Order #{digits(rng, 10)} has shipped",
    lambda rng: f"pedido nº {digits(rng, 9)} atrasado",
    lambda rng: f"Invoice 2026-{digits(rng, 5)} of 20{digits(rng, 2)}-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}",
    lambda rng: f"at 20{rng.randint(10, 30)}-0{rng.randint(1, 9)}-{rng.randint(10, 28)}T1{rng.randint(0, 9)}:30:45.{digits(rng, 3)}Z",
    lambda rng: f"em {rng.randint(10, 28)}/0{rng.randint(1, 9)}/20{rng.randint(10, 30)} às 1{rng.randint(0, 9)}h30",
    lambda rng: f"epoch 17{digits(rng, 8)} and 17{digits(rng, 11)}",
    lambda rng: f"Python 3.{rng.randint(8, 14)}.{rng.randint(0, 9)} on version {rng.randint(1, 9)}.{rng.randint(0, 20)}.0.1",
    lambda rng: f"Chrome/{rng.randint(90, 130)}.0.0.0 Safari/537.36",
    lambda rng: f"id {word(rng, HEX, 8)}-{word(rng, HEX, 8)[:4]}-4{digits(rng, 3)}-a{digits(rng, 3)}-{word(rng, HEX, 12)}",
    lambda rng: f"commit {word(rng, HEX, 40)}",
    lambda rng: f"sha256:{word(rng, HEX, 64)}",
    lambda rng: f"R$ {rng.randint(1, 9)}.{digits(rng, 3)}.{digits(rng, 3)},{digits(rng, 2)}",
    lambda rng: f"${rng.randint(1, 9)},{digits(rng, 3)},{digits(rng, 3)}.{digits(rng, 2)}",
    lambda rng: f"population {rng.randint(1, 9)} {digits(rng, 3)} {digits(rng, 3)}",
    lambda rng: f"0.{digits(rng, 12)} and {rng.randint(1, 90)}.{digits(rng, 6)}, -{rng.randint(1, 90)}.{digits(rng, 6)}",
    lambda rng: f"ISBN 978-3-16-14841{rng.randint(0, 9)}-{rng.randint(0, 9)}",
    lambda rng: f"for i in range({digits(rng, 7)}): x[i] = {digits(rng, 2)} * i",
    lambda rng: "const key = process.env.API_KEY_V2 || 'none'",
    lambda rng: "import std::vector; use f64::MAX; let a = b::c;",
    lambda rng: f"MAC 00:1a:2b:3c:4d:{rng.randint(10, 99)} at 10:{rng.randint(10, 59)}:{rng.randint(10, 59)}",
    lambda rng: "ping 127.0.0.1 or ::1, mask 255.255.255.0, listen 0.0.0.0:80",
    lambda rng: "git clone git@github.com:owner/name.git",
    lambda rng: f"npm i @types/node@{rng.randint(10, 20)}.0.0 lodash@4.17.21",
    lambda rng: "@app.route('/x') and @dataclass(frozen=True), user@host, logo@2x.png",
    lambda rng: "curl https://example.com/a?b=c#d and http://localhost:8080/x:y",
    lambda rng: "https://user:${PASSWORD}@example.com and https://user:***@example.com",
    lambda rng: "sk-learn-like-names-are-not-keys, risk-adjusted-return-of-portfolio",
    lambda rng: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    lambda rng: "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----",
    lambda rng: "the token is invalid, reset your password: see configuration_of_the_service",
    lambda rng: f"primary_key: {word(rng, HEX, 8)}-{digits(rng, 4)}-4{digits(rng, 3)}-a{digits(rng, 3)}-{digits(rng, 12)}",
    lambda rng: f"cep 0131{rng.randint(0, 9)}-{digits(rng, 3)}, nº {digits(rng, 3)}",
    lambda rng: f"tracking BR{digits(rng, 9)}BR e protocolo {digits(rng, 8)}",
    lambda rng: f"The years 19{digits(rng, 2)}-20{digits(rng, 2)} and 20{digits(rng, 2)}/20{digits(rng, 2)}",
    lambda rng: f"score 10-12, 3-2-1, items 1, 2, 3, 4, 5, 6, {digits(rng, 2)}",
    lambda rng: f"https://example.com/item/{digits(rng, 10)}?ref={digits(rng, 8)}",
    lambda rng: f"zip 9{digits(rng, 4)}-{digits(rng, 4)}",
)  # fmt: skip
