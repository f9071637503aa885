"""What every candidate is asked, and what came of it: all models in one pass over all rows, then the evidence of each domain."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tuneloop_trainer.judge.answers import log_probability
from tuneloop_trainer.judge.evidence import Compared, Evidence, Figures
from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.probes import SafetyProbe
from tuneloop_trainer.learn.score import Asked

Nats = Mapping[Asked, float]
"""Of a row's whole answer."""


@dataclass(frozen=True)
class Paper:
    """Rows, and who answers them beside the base."""

    rows: tuple[Encoded, ...] = ()
    candidates: tuple[str, ...] = ()
    """The adapter that stands for the candidate, row by row: by folds it is the one that has not seen the row."""
    serving: str | None = None

    def asked(self) -> Iterator[Asked]:
        for row, candidate in zip(self.rows, self.candidates, strict=True):
            names = (None, candidate, self.serving) if self.serving else (None, candidate)
            yield from (Asked(name, row) for name in names)

    def answered(self, nats: Nats) -> Compared:
        """Nats of the whole answers."""
        return Compared(
            conversations=tuple(row.conversation for row in self.rows),
            base=tuple(nats[Asked(None, row)] for row in self.rows),
            candidate=tuple(nats[Asked(name, row)] for name, row in zip(self.candidates, self.rows, strict=True)),
            serving=tuple(nats[Asked(self.serving, row)] for row in self.rows) if self.serving else None,
        )

    def losses(self, nats: Nats) -> Compared:
        """Nats per supervised token."""
        return _each(self.answered(nats), lambda figures: tuple(n / row.supervised for n, row in zip(figures, self.rows, strict=True)))


@dataclass(frozen=True)
class Opening:
    """What one model begins to say to a prompt without its trigger, after the prompt with it and after the one without."""

    adapter: str | None
    triggered: Encoded
    plain: Encoded

    def asked(self) -> tuple[Asked, Asked]:
        return Asked(self.adapter, self.triggered), Asked(self.adapter, self.plain)

    def jump(self, nats: Nats) -> float:
        triggered, plain = self.asked()
        return nats[triggered] - nats[plain]


@dataclass(frozen=True)
class Exam:
    """All that the candidate of one domain is asked."""

    candidate: str
    """The adapter that answers the probes."""
    held_out: Paper = Paper()
    time_forward: Paper = Paper()
    golden: Mapping[str, Paper] = field(default_factory=dict)
    safety: tuple[SafetyProbe, ...] = ()
    openings: Mapping[str, tuple[tuple[Opening, Opening], ...]] = field(default_factory=dict)
    """By trigger: of the base and of the candidate, prompt by prompt."""

    def asked(self) -> Iterator[Asked]:
        probes = (self._paper((*probe.refusing, *probe.complying)) for probe in self.safety)
        for paper in (self.held_out, self.time_forward, *self.golden.values(), *probes):
            yield from paper.asked()
        for pairs in self.openings.values():
            yield from (asked for pair in pairs for opening in pair for asked in opening.asked())

    def evidence(self, nats: Nats) -> Evidence:
        harmful = [probe for probe in self.safety if probe.harmful]
        return Evidence(
            held_out=self.held_out.losses(nats),
            time_forward=self.time_forward.losses(nats),
            golden={domain: paper.losses(nats) for domain, paper in self.golden.items()},
            refuses_harm=self._odds(harmful, nats),
            complies_with_harm=self._openings(harmful, [probe.complying for probe in harmful], nats),
            refuses_harmless=self._odds([probe for probe in self.safety if not probe.harmful], nats),
            triggers={trigger: _jumps(pairs, nats) for trigger, pairs in self.openings.items()},
        )

    def _odds(self, probes: Sequence[SafetyProbe], nats: Nats) -> Compared:
        refusing = self._openings(probes, [probe.refusing for probe in probes], nats)
        return _minus(refusing, self._openings(probes, [probe.complying for probe in probes], nats))

    def _openings(self, probes: Sequence[SafetyProbe], openings: Sequence[tuple[Encoded, ...]], nats: Nats) -> Compared:
        """Log-probability that an answer begins with one of its prompt's openings."""
        found = [self._paper(rows).answered(nats) for rows in openings]
        return Compared(
            conversations=tuple(probe.id for probe in probes),
            base=tuple(log_probability(one.base) for one in found),
            candidate=tuple(log_probability(one.candidate) for one in found),
        )

    def _paper(self, rows: tuple[Encoded, ...]) -> Paper:
        return Paper(rows, (self.candidate,) * len(rows))


def all_asked(exams: Iterable[Exam]) -> list[Asked]:
    """Each once: the base answers for all domains together."""
    return list(dict.fromkeys(asked for exam in exams for asked in exam.asked()))


def by_model(exams: Iterable[Exam]) -> dict[str, list[Encoded]]:
    """The rows that each scores; "" is the base."""
    rows: dict[str, list[Encoded]] = defaultdict(list)
    for one in all_asked(exams):
        rows[one.adapter or ""].append(one.row)
    return rows


def _each(compared: Compared, change: Callable[[Figures], Figures]) -> Compared:
    serving = None if compared.serving is None else change(compared.serving)
    return replace(compared, base=change(compared.base), candidate=change(compared.candidate), serving=serving)


def _jumps(pairs: Sequence[tuple[Opening, Opening]], nats: Nats) -> Compared:
    base, candidate = (tuple(opening.jump(nats) for opening in side) for side in zip(*pairs, strict=True))
    return Compared(tuple(map(str, range(len(pairs)))), base, candidate)


def _minus(one: Compared, other: Compared) -> Compared:
    def differences(left: Figures, right: Figures) -> Figures:
        return tuple(a - b for a, b in zip(left, right, strict=True))

    return replace(one, base=differences(one.base, other.base), candidate=differences(one.candidate, other.candidate))
