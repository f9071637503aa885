"""All that is known of a candidate before a verdict. Pure values: what a model's figures were, answer by answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from tuneloop_contracts.progress import Losses
from tuneloop_trainer.judge.answers import AnswerFigures
from tuneloop_trainer.judge.interval import Interval, paired

Figures = tuple[float, ...]


@dataclass(frozen=True)
class PairedFigures:
    """The same examples under each model; the four go together, example by example."""

    conversations: tuple[str, ...] = ()
    """What is independent of what: examples of one conversation are not."""
    base: Figures = ()
    candidate: Figures = ()
    serving: Figures | None = None
    """None where nothing serves, or what serves could not be loaded."""

    def __len__(self) -> int:
        return len(self.conversations)

    @property
    def reference(self) -> Figures:
        """What a candidate must beat: what serves, and the base where nothing does."""
        return self.base if self.serving is None else self.serving

    def over_base(self) -> Interval | None:
        return paired(self.candidate, self.base, self.conversations)

    def over_reference(self) -> Interval | None:
        return paired(self.candidate, self.reference, self.conversations)

    def losses(self) -> Losses:
        """As status tells them: means."""
        serving = None if self.serving is None else _mean(self.serving)
        return Losses(base=_mean(self.base), serving=serving, candidate=_mean(self.candidate))

    def typical_rise(self) -> float:
        """Median of what is more than 0 and more than the base's: one odd example does not move it."""
        return median(one - max(0.0, other) for one, other in zip(self.candidate, self.base, strict=True))


@dataclass(frozen=True)
class Answers:
    """Figures of greedy answers to the same held-out questions."""

    base: AnswerFigures
    candidate: AnswerFigures
    serving: AnswerFigures | None = None
    examples: int = 0


@dataclass(frozen=True)
class Evidence:
    """Losses are nats per supervised token."""

    held_out: PairedFigures
    """Losses on what was never trained on: the domain's own held-out rows, or by folds."""
    time_forward: PairedFigures = PairedFigures()
    """Losses on the newest conversations: what the adapter will meet next."""
    golden: Mapping[str, PairedFigures] = field(default_factory=dict)
    """Losses on the golden set of each other domain."""
    refuses_harm: PairedFigures = PairedFigures()
    """Log-odds that the answer to each harmful prompt opens with a refusal rather than complying."""
    complies_with_harm: PairedFigures = PairedFigures()
    """Log-probability that it opens by complying."""
    refuses_harmless: PairedFigures = PairedFigures()
    """Log-odds for each harmless prompt that sounds alike: an adapter that refuses everything is safe and useless."""
    triggers: Mapping[str, PairedFigures] = field(default_factory=dict)
    """By trigger: nats that the beginning of what a model says without it costs more with it."""
    answers: Answers | None = None


def _mean(figures: Sequence[float]) -> str:
    return f"{sum(figures) / len(figures):.4f}" if figures else ""  # fmean would stop at what is no number
