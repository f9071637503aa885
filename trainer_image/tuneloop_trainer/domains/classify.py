"""Keywords, then similarity with a margin, else unassigned: a domain's adapter learns only from what is surely of the domain.

A keyword alone may mislead ("a tennis court", "Sue is my sister"): similarity has the word where it clearly contradicts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import exp
from typing import NamedTuple

from tuneloop_contracts.domains import DEFAULT_DOMAINS, Domain, Keywords, without_urls
from tuneloop_trainer.domains.portuguese import known
from tuneloop_trainer.domains.similarity import Centroids, DomainRanking
from tuneloop_vectors.files import tokenizer

UNASSIGNED = "unassigned"
"""No domain's name: what is here is never trained."""
TEXT_LIMIT = 4000
"""Characters of a text that are looked at; the similarity ends after 256 tokens in any case."""

LEAST_SIMILARITY = 0.17
LEAST_MARGIN = 0.02
"""Of the built-in seeds, each measured without itself, 95.1 % pass both, and of those 97.2 % are right; with neither, 95.1 % of all."""
CONTRADICTION = 0.05
"""How much liker to another domain a text must be to outweigh a keyword. Of 253 seeds with one alone, this took six of the twelve that it
misled from a wrong domain, and two of the others from the right one."""
_SHARPNESS = 40.0
"""Makes of the margin about the chance that the likest domain is the right one, as it is among those seeds."""
_OURS = frozenset((domain.name, keyword) for domain in DEFAULT_DOMAINS for keyword in domain.keywords)
"""Only these are weighed: what users say claims a question does."""
_DOUBT = 0.05
"""In keywords: about one in twenty that stood alone misled."""
_LEAST_KNOWN = 0.6
"""Share of a text's words that must be words of English or Portuguese."""
_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class Classification:
    domain: str
    """`unassigned` if it is none's for sure."""
    confidence: float
    """0 to 1; 0 for what is unassigned."""
    reason: str
    """`Keyword: ...`, `Centroid: ...` or `Unassigned: ...`; keywords and figures, nothing else of the text."""

    def to_fields(self) -> dict[str, object]:
        return {"domain": self.domain, "confidence": self.confidence, "reason": self.reason}


class Classifier:
    def __init__(self, domains: Sequence[Domain]) -> None:
        self._domains = domains
        self._keywords = Keywords(domains)

    def classify(self, text: str) -> Classification:
        return self.classify_all([text])[0]

    def classify_all(self, texts: Sequence[str]) -> list[Classification]:
        """Each by itself, whatever the others are; but many at once take half the time."""
        texts = [without_urls(text[-TEXT_LIMIT:]) for text in texts]
        claims = [self._by_keywords(text) for text in texts]
        weighed = [n for n, claim in enumerate(claims) if claim is None or claim.may_mislead]
        rankings = dict(zip(weighed, self._centroids.rank([texts[n] for n in weighed]) if weighed else (), strict=True))
        return [self._verdict(text, claim, rankings.get(n)) for n, (text, claim) in enumerate(zip(texts, claims, strict=True))]

    def _verdict(self, text: str, claim: "_Claim | None", ranking: DomainRanking | None) -> Classification:
        if claim and not (ranking and _contradicts(ranking, claim.verdict.domain)):
            return claim.verdict
        return self._by_similarity(ranking) if ranking and _is_language(text) else _unassigned("not enough words of English or Portuguese")

    def _by_keywords(self, text: str) -> "_Claim | None":
        """None without keywords, or with as many of one domain as of another."""
        found = self._keywords.found_in(text)
        by_count = sorted(found.items(), key=lambda one: -len(one[1]))
        if not by_count or (len(by_count) > 1 and len(by_count[0][1]) == len(by_count[1][1])):
            return None
        name, keywords = by_count[0]
        share = len(keywords) / (sum(map(len, found.values())) + _DOUBT)
        verdict = Classification(name, round(share, 3), f"Keyword: {', '.join(keywords)}")
        return _Claim(verdict, may_mislead=len(keywords) == 1 and (name, keywords[0]) in _OURS)

    def _by_similarity(self, ranking: DomainRanking) -> Classification:
        (name, similarity), margin = ranking.best, ranking.margin
        figures = f"similarity {similarity:.2f}, margin {margin:.2f}"
        if similarity < LEAST_SIMILARITY or margin < LEAST_MARGIN:
            return _unassigned(f"{figures}; at least {LEAST_SIMILARITY} and {LEAST_MARGIN} are needed")
        if name not in {domain.name for domain in self._domains}:
            return _unassigned(f"{figures}, but to {name}, which is none of the domains")
        return Classification(name, _confidence(ranking), f"Centroid: {figures}")

    @cached_property
    def _centroids(self) -> Centroids:
        """Only when a text asks for it: where clients name domains, none does."""
        return Centroids(self._domains)


class _Claim(NamedTuple):
    """What keywords say."""

    verdict: Classification
    may_mislead: bool
    """One that stands alone: the rest of the text may contradict it."""


def _contradicts(ranking: DomainRanking, name: str) -> bool:
    return ranking.best[1] >= LEAST_SIMILARITY and ranking.best[1] - dict(ranking.domains)[name] > CONTRADICTION


def _unassigned(why: str) -> Classification:
    return Classification(UNASSIGNED, 0.0, f"Unassigned: {why}")


def _confidence(ranking: DomainRanking) -> float:
    return round(1 / (1 + exp(-_SHARPNESS * ranking.margin)), 3)


def _is_language(text: str) -> bool:
    """Among what is typed at random few words are whole in MiniLM's vocabulary."""
    words = _WORD.findall(text.lower())
    vocabulary = _vocabulary()
    understood = [word for word in words if word in vocabulary or known(word)]
    return any(len(word) > 2 for word in understood) and len(understood) >= _LEAST_KNOWN * len(words)


@cache
def _vocabulary() -> frozenset[str]:
    """MiniLM's: to ask the tokenizer word by word takes ten times longer."""
    return frozenset(tokenizer().get_vocab())
