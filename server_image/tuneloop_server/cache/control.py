"""What a client's Cache-Control asks for. Pure; RFC 9111, section 5.2.1."""

import re
from dataclasses import dataclass
from functools import lru_cache

_DIRECTIVE = re.compile(r'^([a-z-]+)(?:="?(\d{1,18})"?)?$')


@dataclass(frozen=True)
class CacheControl:
    read: bool = True
    """False with `no-cache` and `no-store`."""
    write: bool = True
    """False with `no-store`."""
    only: bool = False
    """`only-if-cached`: rather an error than a generation."""
    max_age: int | None = None
    """Seconds; also the way to ask for sampled answers from the cache: who names an age wants to share them."""

    def accepts(self, age: int) -> bool:
        return self.max_age is None or age <= self.max_age


DEFAULT = CacheControl()


@lru_cache(maxsize=256)
def parse_cache_control(header: str) -> CacheControl:
    """Directives that are unknown or malformed are ignored, as the RFC has it."""
    found = {match[1]: match[2] for part in header.lower().split(",") if (match := _DIRECTIVE.match(part.strip()))}
    age = found.get("max-age")
    return CacheControl(
        read=not {"no-cache", "no-store"} & found.keys(),
        write="no-store" not in found,
        only="only-if-cached" in found,
        max_age=int(age) if age else None,
    )
