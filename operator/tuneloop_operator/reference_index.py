"""Which objects point at which, so that a change reaches all that it concerns. Only a hint: every pass reads afresh."""

from collections import defaultdict

from tuneloop_operator.queue import Key


class ReferenceIndex:
    def __init__(self) -> None:
        self._from: dict[Key, frozenset[Key]] = {}
        self._to: defaultdict[Key, set[Key]] = defaultdict(set)

    def set(self, source: Key, targets: frozenset[Key]) -> None:
        """`source` points at exactly these."""
        for old in self._from.pop(source, frozenset()) - targets:
            self._to[old].discard(source)
            if not self._to[old]:
                del self._to[old]
        for new in targets:
            self._to[new].add(source)
        if targets:
            self._from[source] = targets

    def forget(self, source: Key) -> None:
        self.set(source, frozenset())

    def pointing_at(self, target: Key, kind: str = "") -> list[Key]:
        return sorted(key for key in self._to.get(target, ()) if not kind or key.kind == kind)
