"""Telephone numbers: international, and national of some twenty countries, the rest where the text calls them so."""

import re
from collections.abc import Iterator

from tuneloop_trainer.curate.redact.digits import Window, digits_of, groups_of

_START = r"(?<![\w.$€£#-])(?<!\D/)"
_END = r"(?![\w%]|[.-]\d|/\d{1,2}(?!\d))"

_INTERNATIONAL = re.compile(
    r"(?<![^\W_])(?<![.$€£#-])(?:\(\+[1-9]\d{0,2}\)|(?:\+ ?|(?<=\bwa\.me/)|(?<![_/])(?<!\d )00 ?)[1-9]\d{0,14})"
    r"(?:(?:[ .\u00a0-]| ?/ ?)?(?:\(\d{1,4}\) ?)?\d{1,12}){0,7}"
)
_GOES_ON = re.compile(r"(?!x\d)[^\W_]|[.,/-]\d{1,2}\b(?![ .-]?\d)")
"""After a group of digits that is no number's last: an extension such as x12 is."""
_NATIONAL_DIGITS = {
    "1": (10, 10), "55": (10, 11), "351": (9, 9), "44": (9, 10), "33": (9, 9), "34": (9, 9), "49": (6, 11), "39": (6, 11), "54": (10, 11),
    "52": (10, 11), "56": (9, 9), "57": (10, 10), "41": (9, 9), "31": (9, 9), "32": (8, 9), "43": (7, 12), "91": (10, 10), "81": (9, 10),
    "86": (9, 11), "61": (9, 9), "7": (10, 10),
}  # fmt: skip
"""Digits after the country's code, without the trunk's 0; elsewhere E.164's eight to fifteen in all."""
_E164 = range(8, 16)

_SURE = re.compile(_START + r"(?<!\d )(?:" + "|".join((
    r"(?:1[ .-])?(?:\([2-9]\d{2}\)[ -]?\d{3}[ .-]\d{4}|[2-9]\d{2}([ .-])\d{3}\1\d{4}|[2-9]\d{2} \d{3}-\d{4})",  # US: 1-800-555-1234
    r"\(0?[1-9]\d\) ?(?:9[ .]?\d{4}|[2-5]\d{3})[ .-]?\d{4}",  # BR: (11) 91234-5678, (11) 3456-7890
    r"(?:55 ?)?0?[1-9]\d[ -](?:9[ .]?\d{4}[ .-]?\d{4}|[2-5]\d{3}[.-]?\d{4})",  # 11 91234-5678, 11 3456-7890
    r"(?:1[1-9]|2[12478]|3[1-578]|4[1-9]|5[1345]|6[1-9]|7[134579]|8[1-9]|9[1-9])9\d{8}",  # 11912345678
    r"9\d{4}-\d{4}|[1-9]\d\.9\d{4}\.\d{4}",  # 91234-5678, 11.91234.5678
    r"0[1-9](?:[ .-]\d{2}){4}(?! \d)|0[67]\d{8}|06[ -]\d{8}",  # FR: 06 12 34 56 78; NL: 06-12345678
    r"8[ -]?\(\d{3}\) ?\d{3}[ -]\d{2}[ -]\d{2}|0[1-9]\d{1,2}[ -]\d{3}(?:[ -]\d{2}){2}|1[3-9]\d[ -]\d{4}[ -]\d{4}",  # RU; CH, SE, TR; CN
    r"\(0\d{2,4}\) ?\d{3,4}[ -]?\d{3,4}|07\d{3} ?\d{3} ?\d{3}|0[1-9]\d{1,3}[ -]\d{3,4}[ -]?\d{3,4}|0\d{4} \d{5,6}",  # UK: 020 7946 0958
    r"0[1-9]\d{1,4}(?:[ /-]| / )\d{3,8}(?:-\d{1,4})?|0[1-9]\d{1,4} \d{2,4}(?: \d{2,4}){1,3}|01[567]\d{8,9}",  # DE: 030/123456
    r"[6789]\d{2}(?: \d{2}){3}|9[1-8] \d{3} \d{2} \d{2}|2[1-9] \d{3} \d{4}",  # ES: 612 34 56 78; PT: 21 123 4567
)) + ")" + _END)  # fmt: skip
_PERHAPS = re.compile(_START + r"(?:\(\d{2,4}\) ?)?\d{2,4}(?:[ .-]?\d{2,5}){1,4}" + _END)
"""Numbers that are one only where the text calls them so: 555-1234, 912 345 678, 5551234567."""


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split(", "))


_PHONE_WORDS = _words(
    "phone, phones, telephone, tel, mobile, cell, cellphone, fax, whatsapp, whats, zap, mob, call, called, calling, dial, ring, sms",
    "hotline, text me, reach me, reach us, contact number, my number, his number, her number, our number, work number",
    "telefone, telefones, telemóvel, telemovel, celular, cel, fone, ligar, ligue, liga, ligo, liguei, contato, contacto",
    "meu número, meu numero, teléfono, telefono, móvil, movil, llama, llame, llámame, llamar, mi número, mi numero",
    "telefon, telefonnummer, handy, handynummer, mobil, rufnummer, anrufen, meine nummer",
    "cellulare, chiamami, chiamare, il mio numero, telefoon, mobiel, bel, bellen, telefonum, телефон, тел, звоните",
    "电话, 手机, 電話, 携帯, 전화, 휴대폰",
    "téléphone, portable, appeler, appelez, joindre, rappeler, rappelez, mon numéro",
)
_OTHER_WORDS = _words(
    "#, order, orders, invoice, ticket, case, ref, reference, tracking, serial, sku, isbn, id, part, account, model, code, zip, po",
    "policy, batch, version, build, rfc, pedido, fatura, nota, chamado, protocolo, rastreio, rastreamento, série, serie, conta",
    "agência, agencia, cep, código, codigo, nf, lote, processo, contrato, versão, versao",
    "título, titulo, eleitor, rg, cnh, pis, renavam, matrícula, matricula",
    "bestellung, rechnung, kundennummer, commande, facture, factura",
)
_WORD = re.compile(r"电话|手机|電話|携帯|전화|휴대폰|[^\W\d_\u3005-\ud7af]+|#")
_BEFORE = 40
"""Characters before a number in which the nearest of these words decides."""
_STATE = re.compile(r"\b[A-Z]{2} $")
_YEARS = re.compile(r"(?:^|\D)(?:19|20)\d\d[ -](?:19|20)\d\d$")


def phones(window: Window) -> Iterator[tuple[int, int]]:
    yield from (span for match in window.matches(_INTERNATIONAL) if (span := _international(match, window)))
    for match in window.matches(_SURE):
        called = _called(match)
        if not _is_other(match) and (called or (called is None and not _is_set(match)) or match.group().startswith("(")):
            yield match.span()
    for match in window.matches(_PERHAPS):
        least = 8 if match.group().isdecimal() else 7
        if least <= len(digits_of(match.group())) <= 13 and not _is_other(match) and _called(match):
            yield match.span()


def _is_other(match: re.Match[str]) -> bool:
    """Two years, or a ZIP code after its state."""
    return bool(_YEARS.search(match.group()) or _STATE.search(match.string, max(0, match.start() - 4), match.start()))


def _is_set(match: re.Match[str]) -> bool:
    """To a name, as programs and queries do: `id=11912345678`."""
    return match.string.startswith("=", max(0, match.start() - 1))


def _called(match: re.Match[str]) -> bool | None:
    """True after a word for a telephone, False after one for another number, None without either."""
    before = match.string[max(0, match.start() - _BEFORE) : match.start()].lower()
    words = _WORD.findall(before)
    for last in range(len(words), 0, -1):
        nearest = {words[last - 1], " ".join(words[max(0, last - 2) : last])}
        if nearest & _OTHER_WORDS:
            return False
        if nearest & _PHONE_WORDS:
            return True
    return None


def _international(match: re.Match[str], window: Window) -> tuple[int, int] | None:
    """As many groups of digits as the country's numbers have: "+1 555 123 4567 10 times" ends before the 10."""
    text, start = match.group(), match.start()
    if text.startswith("00") and not (called := _called(match)) and (called is False or text[3:].isdecimal()):
        return None  # an order's number may begin with zeros
    digits = ""
    ends: list[int] = []
    for _, end, group in groups_of(match):
        trunk = group == "0" and match.string[end : end + 1] == ")"
        digits += "" if trunk else group.removeprefix("00") if not digits else group
        if _is_whole(digits) and not _GOES_ON.match(match.string, end, end + 6):
            ends.append(end)
    return (start, ends[-1]) if ends else None


def _is_whole(digits: str) -> bool:
    country = next((digits[:n] for n in (1, 2, 3) if digits[:n] in _NATIONAL_DIGITS), "")
    if not country:
        return len(digits) in _E164
    least, most = _NATIONAL_DIGITS[country]
    return least <= len(digits) - len(country) <= most
