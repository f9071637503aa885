"""What names a machine or lets one in: IP addresses, and URLs with a password."""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv6Address

_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IPV4 = re.compile(rf"\d(?<![\w.]\d)\d{{0,2}}(?:\.{_OCTET}){{3}}(?!\w|\.\d|-[A-Za-z]|\.(?:jar|tar|t?gz|zip|exe|dll|deb|rpm|whl|msi)\b)")
"""A search for a digit and a look back from there: three times quicker than to look back everywhere."""
_NOBODYS = (0, 127, *range(255, 1000))
"""First parts: this host, the local host, masks, and what is no address."""
_VERSION_BEFORE = re.compile(
    r"(?:version|versão|versao|\bver|release|firmware|assembly|build|section|seção|article|artigo|clause|cláusula|chapter|capítulo|§|\bv)"
    r"\W{0,3}$|(?:upgrad|updat|downgrad|atualiz)\w*(?: from| to| de| para)? $|[A-Za-z]/$",
    re.IGNORECASE,
)
"""Before what is no address: "version 1.2.3.4", "Chrome/120.0.0.0"; nor is `1.2.3.4-beta` or `1.2.3.4.jar`."""
_WORD_BEFORE = re.compile(r"([^\W\d_]{2,}) $")
_LEADS = re.compile(
    r"ips?|is|are|was|at|by|on|to|for|via|of|and|or|not|with|using|than|as|dns|ping|hosts?|server|addr(?:ess(?:es)?)?|gateway|resolver|ssh|curl"
    r"|nameserver|telnet|traceroute|dig|nslookup|client|peer|node|from|source|src|dst|remote|local|allow|deny|block(?:ed|ing)?|ban|banned|route"
    r"|inet|bind|listen|connect(?:ed|ing)?|reach|proxy|eu|é|são|em|no|na|ao|para|com|por|de|do|da|ou|servidor|endereço|máquina|cliente|roteador",
    re.IGNORECASE,
)
"""So short an address is one after such a word, or after none; after a thing's name it is its version: `nginx 1.25.3.1`."""
_TOGETHER = 5
"""Characters between two versions of one thing: "from 1.2.3.4 to 1.2.3.5"."""
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4})(?!\w|:\w|\.\d)")
_IPV6_BEGINS = re.compile(r"(?=.*\d)[0-9A-Fa-f]{4}:|::ffff:|64:ff9b:", re.IGNORECASE)
"""As every address in use does, and one without a single digit is rare; `f64::`, `a::b` and `feed::add` are code."""
_URL = re.compile(r"""(?<![\w+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/?#@:'"<>{}]{0,256}:([^\s/?#@'"<>{}]{1,256})@[^\s'"<>`{}]+""")
_MASK = re.compile(r"[*x•]+|\$\w+", re.IGNORECASE)


def ipv4s(text: str) -> Iterator[tuple[int, int]]:
    """Not the local host, not a mask, not a version of four parts."""
    if text.count(".") < 3:
        return
    version = -_TOGETHER - 1
    for match in _IPV4.finditer(text):
        before = text[max(0, match.start() - 24) : match.start()]
        name = _WORD_BEFORE.search(before) if len(match.group()) <= len("1.25.3.1") else None
        if _VERSION_BEFORE.search(before) or (name and not _LEADS.fullmatch(name[1])) or match.start() - version <= _TOGETHER:
            version = match.end()
        elif int(match.group().partition(".")[0]) not in _NOBODYS:
            yield match.span()


def ipv6s(text: str) -> Iterator[tuple[int, int]]:
    """Not the local host. Without brackets, zone and prefix length."""
    if "::" not in text and text.count(":") < 7:
        return
    for match in _IPV6.finditer(text):
        address = match.group()
        if address.endswith(":") and not address.endswith("::"):
            address = address[:-1]
        if _IPV6_BEGINS.match(address) and _is_ipv6(address):
            yield match.start(), match.start() + len(address)


def urls(text: str) -> Iterator[tuple[int, int]]:
    """Whole, with the credentials; a masked or templated password (`***`, `$PASSWORD`) is none."""
    for match in _URL.finditer(text):
        if not _MASK.fullmatch(match[1]):
            yield match.start(), match.start() + len(match.group().rstrip(".,;:!?)]*"))


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True
