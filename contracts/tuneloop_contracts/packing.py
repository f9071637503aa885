"""Text in fewer bytes that are still text, for where Kubernetes leaves little room. Pure.

Deflated, but for digests: no codec makes 32 random bytes smaller, and their hexadecimal digits would take 36.
"""

import re
import zlib
from base64 import b85decode, b85encode

MARK = "packed:"
"""What packed text begins with; JSON never does."""
_DIGEST = re.compile("[0-9a-f]{64}")
_NEXT, _SAME = "\x00", "\x01"
"""Instead of a digest: the next of those at the end, or the last one again. JSON writes both characters in another way."""


def pack(text: str) -> str:
    """`text`: JSON."""
    digests: list[str] = []

    def instead(found: re.Match[str]) -> str:
        if digests and digests[-1] == found[0]:
            return _SAME
        digests.append(found[0])
        return _NEXT

    rest = _DIGEST.sub(instead, text).encode()
    return MARK + b85encode(zlib.compress(rest, 9) + bytes.fromhex("".join(digests))).decode()


def unpack(text: str) -> str:
    """What was packed; any other text as it is. Raises ValueError for what was packed and cut off."""
    if not text.startswith(MARK):
        return text
    deflated = zlib.decompressobj()
    try:
        rest = deflated.decompress(b85decode(text.removeprefix(MARK))).decode()
    except zlib.error as error:
        raise ValueError("not what was packed") from error
    digests = deflated.unused_data.hex()
    if not deflated.eof or len(digests) != 64 * rest.count(_NEXT):
        raise ValueError("not all of what was packed")
    used = 0

    def back(found: re.Match[str]) -> str:
        nonlocal used
        used += found[0] == _NEXT
        return digests[64 * (used - 1) : 64 * used]

    return re.sub(f"[{_NEXT}{_SAME}]", back, rest)
