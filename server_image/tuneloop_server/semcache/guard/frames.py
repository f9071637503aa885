"""Ways of asking, rewritten into what they ask: `what are the steps to` -> `how`."""

import re
from dataclasses import dataclass

_GROUP = re.compile(r"\\(\d)")


@dataclass(frozen=True)
class Frame:
    pattern: re.Pattern[str]
    replacement: str
    """As re's own templates, but a group that took no part is empty."""

    @classmethod
    def parse(cls, line: str) -> "Frame":
        """`pattern => replacement`; the latter quoted where its spaces matter. Raises re.error."""
        pattern, _, replacement = line.partition(" => ")
        return cls(re.compile(pattern), replacement.strip('"'))

    def rewrite(self, text: str) -> str:
        """With single spaces, as the next frame expects them."""
        written, times = self.pattern.subn(self._expand, text)
        return " ".join(written.split()) if times else text

    def _expand(self, found: re.Match[str]) -> str:
        return _GROUP.sub(lambda number: found[int(number[1])] or "", self.replacement)
