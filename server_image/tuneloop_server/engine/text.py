"""From token ids to text, step by step: never half a character, never part of a stop sequence. Pure."""

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]

_BROKEN = "\ufffd"


class Detokeniser:
    """Text as it becomes certain.

    A character may take several tokens, and a token may read differently after its neighbour; so each step decodes from the
    start of the last certain piece and hands out what is new, unless it ends in the middle of a character.
    """

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._start = 0
        self._certain = 0

    def push(self, token: int) -> str:
        self._ids.append(token)
        known, longer = self._texts()
        if len(longer) <= len(known) or longer.endswith(_BROKEN):
            return ""
        self._start, self._certain = self._certain, len(self._ids)
        return longer[len(known) :]

    def flush(self) -> str:
        """What is left at the end, broken characters included."""
        known, longer = self._texts()
        self._certain = self._start = len(self._ids)
        return longer[len(known) :]

    def _texts(self) -> tuple[str, str]:
        return self._decode(self._ids[self._start : self._certain]), self._decode(self._ids[self._start :])


class StopText:
    """Cuts an answer before the first stop sequence, and holds back what may become one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""

    def push(self, text: str) -> tuple[str, bool]:
        """(text to hand out, stopped)."""
        text = self._held + text
        found = [at for at in (text.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self._held = ""
            return text[: min(found)], True
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

    def flush(self) -> str:
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if stop.startswith(text[-n:])), 0)
