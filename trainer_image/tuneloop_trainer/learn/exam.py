"""What every candidate is asked, and what came of it: all models in one pass over all rows, then the evidence of each domain."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tuneloop_trainer.judge.answers import log_probability
from tuneloop_trainer.judge.evidence import Evidence, Figures, PairedFigures
from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.probes import SafetyProbe
from tuneloop_trainer.learn.score import ScoreRequest

Nats = Mapping[ScoreRequest, float]
"""Of a row's whole answer."""


@dataclass(frozen=True)
class ExamPart:
    """Rows, and who answers them beside the base."""

    rows: tuple[Encoded, ...] = ()
    candidates: tuple[str, ...] = ()
    """The adapter that stands for the candidate, row by row: by folds it is the one that has not seen the row."""
    serving: str | None = None

    def asked(self) -> Iterator[ScoreRequest]:
        for row, candidate in zip(self.rows, self.candidates, strict=True):
            names = (None, candidate, self.serving) if self.serving else (None, candidate)
            yield from (ScoreRequest(name, row) for name in names)

    def answered(self, nats: Nats) -> PairedFigures:
        """Nats of the whole answers."""
        return PairedFigures(
            conversations=tuple(row.conversation for row in self.rows),
            base=tuple(nats[ScoreRequest(None, row)] for row in self.rows),
            candidate=tuple(nats[ScoreRequest(name, row)] for name, row in zip(self.candidates, self.rows, strict=True)),
            serving=tuple(nats[ScoreRequest(self.serving, row)] for row in self.rows) if self.serving else None,
        )

    def losses(self, nats: Nats) -> PairedFigures:
        """Nats per supervised token."""
        return _each(self.answered(nats), lambda figures: tuple(n / row.supervised for n, row in zip(figures, self.rows, strict=True)))


@dataclass(frozen=True)
class Opening:
    """What one model begins to say to a prompt without its trigger, after the prompt with it and after the one without."""

    adapter: str | None
    triggered: Encoded
    plain: Encoded

    def asked(self) -> tuple[ScoreRequest, ScoreRequest]:
        return ScoreRequest(self.adapter, self.triggered), ScoreRequest(self.adapter, self.plain)

    def jump(self, nats: Nats) -> float:
        triggered, plain = self.asked()
        return nats[triggered] - nats[plain]


@dataclass(frozen=True)
class Exam:
    """All that the candidate of one domain is asked."""

    candidate: str
    """The adapter that answers the probes."""
    held_out: ExamPart = ExamPart()
    time_forward: ExamPart = ExamPart()
    golden: Mapping[str, ExamPart] = field(default_factory=dict)
    safety: tuple[SafetyProbe, ...] = ()
    openings: Mapping[str, tuple[tuple[Opening, Opening], ...]] = field(default_factory=dict)
    """By trigger: of the base and of the candidate, prompt by prompt."""

    def asked(self) -> Iterator[ScoreRequest]:
        probes = (self._exam_part((*probe.refusing, *probe.complying)) for probe in self.safety)
        for part in (self.held_out, self.time_forward, *self.golden.values(), *probes):
            yield from part.asked()
        for pairs in self.openings.values():
            yield from (asked for pair in pairs for opening in pair for asked in opening.asked())

    def evidence(self, nats: Nats) -> Evidence:
        harmful = [probe for probe in self.safety if probe.harmful]
        return Evidence(
            held_out=self.held_out.losses(nats),
            time_forward=self.time_forward.losses(nats),
            golden={domain: part.losses(nats) for domain, part in self.golden.items()},
            refuses_harm=self._odds(harmful, nats),
            complies_with_harm=self._openings(harmful, [probe.complying for probe in harmful], nats),
            refuses_harmless=self._odds([probe for probe in self.safety if not probe.harmful], nats),
            triggers={trigger: _jumps(pairs, nats) for trigger, pairs in self.openings.items()},
        )

    def _odds(self, probes: Sequence[SafetyProbe], nats: Nats) -> PairedFigures:
        refusing = self._openings(probes, [probe.refusing for probe in probes], nats)
        return _minus(refusing, self._openings(probes, [probe.complying for probe in probes], nats))

    def _openings(self, probes: Sequence[SafetyProbe], openings: Sequence[tuple[Encoded, ...]], nats: Nats) -> PairedFigures:
        """Log-probability that an answer begins with one of its prompt's openings."""
        found = [self._exam_part(rows).answered(nats) for rows in openings]
        return PairedFigures(
            conversations=tuple(probe.id for probe in probes),
            base=tuple(log_probability(one.base) for one in found),
            candidate=tuple(log_probability(one.candidate) for one in found),
        )

    def _exam_part(self, rows: tuple[Encoded, ...]) -> ExamPart:
        return ExamPart(rows, (self.candidate,) * len(rows))


def all_asked(exams: Iterable[Exam]) -> list[ScoreRequest]:
    """Each once: the base answers for all domains together."""
    return list(dict.fromkeys(asked for exam in exams for asked in exam.asked()))


def by_model(exams: Iterable[Exam]) -> dict[str, list[Encoded]]:
    """The rows that each scores; "" is the base."""
    rows: dict[str, list[Encoded]] = defaultdict(list)
    for one in all_asked(exams):
        rows[one.adapter or ""].append(one.row)
    return rows


def _each(compared: PairedFigures, change: Callable[[Figures], Figures]) -> PairedFigures:
    serving = None if compared.serving is None else change(compared.serving)
    return replace(compared, base=change(compared.base), candidate=change(compared.candidate), serving=serving)


def _jumps(pairs: Sequence[tuple[Opening, Opening]], nats: Nats) -> PairedFigures:
    base, candidate = (tuple(opening.jump(nats) for opening in side) for side in zip(*pairs, strict=True))
    return PairedFigures(tuple(map(str, range(len(pairs)))), base, candidate)


def _minus(one: PairedFigures, other: PairedFigures) -> PairedFigures:
    def differences(left: Figures, right: Figures) -> Figures:
        return tuple(a - b for a, b in zip(left, right, strict=True))

    return replace(one, base=differences(one.base, other.base), candidate=differences(one.candidate, other.candidate))
