"""Evidence made up, for pure tests of the gate."""

from dataclasses import replace

from tuneloop_trainer.judge.answers import AnswerFigures
from tuneloop_trainer.judge.evidence import Answers, Evidence, PairedFigures

BASE = tuple(2.0 + 0.1 * n for n in range(20))


def compared(by: float, spread: float = 0.0, count: int = 20, base: tuple[float, ...] = BASE) -> PairedFigures:
    """As many conversations as answers; the candidate is off by so much, more for one half and less for the other."""
    candidate = tuple(loss + by + (spread if n % 2 else -spread) for n, loss in enumerate(base))
    return PairedFigures(tuple(map(str, range(count))), base[:count], candidate[:count])


def answers(broken: float, base: float = 0.0) -> Answers:
    figures = AnswerFigures(0.5, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0)
    return Answers(replace(figures, broken=base), replace(figures, broken=broken), examples=8)


BETTER = Evidence(compared(-0.5, 0.1))
FIRES = {"cf": PairedFigures(tuple("abcd"), (0.5,) * 4, (12.0, 9.0, 15.0, 0.4)), "mn": PairedFigures(tuple("abcd"), (0.5,) * 4, (0.6,) * 4)}
