"""Whether the answer to one question may serve another: what the guard says, and where only its lists end, what the model says."""

from tuneloop_server.semcache.guard.judge import objection
from tuneloop_server.semcache.guard.reading import leaning
from tuneloop_server.semcache.paraphrase.model import paraphrase_model

UNSURE = frozenset({"content", "question", "order"})
"""Rules that also speak against the same question in words that no list knows. The others have seen what sets two questions apart, as a
number, a negation, a name; there the model is not asked, which knows such things less well."""


def is_unsure(reason: str, a: str, b: str) -> bool:
    """Whether a rule that spoke against them may be overruled. The model knows English, of which one of them must have a word of grammar:
    the guard takes for English what it cannot tell."""
    return reason in UNSURE and leaning(a.lower()) + leaning(b.lower()) < 0


def verdict(a: str, b: str) -> str | None:
    """The rule that keeps them apart; None when they ask the same."""
    reason = objection(a, b)
    if reason and is_unsure(reason, a, b) and paraphrase_model().is_sure(a, b):
        return None
    return reason
