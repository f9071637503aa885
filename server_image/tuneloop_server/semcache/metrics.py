"""What Prometheus learns of the semantic tier. Labels hold domains, rules and verdicts: never a question or a tenant."""

from collections import Counter as Tally
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATENCY = (0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
"""Seconds: a static hit takes one millisecond, MiniLM ten."""


class SemanticMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.lookups = Counter(
            "tuneloop_semantic_lookups", "Lookups by result: hit, guarded, miss, error", ["domain", "result"], registry=registry
        )
        self.objections = Counter("tuneloop_semantic_objections", "Near questions that a rule spoke against", ["rule"], registry=registry)
        self.appeals = Counter(
            "tuneloop_semantic_appeals", "Of those, asked of the model, by what it said: sure, unsure", ["result"], registry=registry
        )
        self.seconds = Histogram(
            "tuneloop_semantic_seconds", "Time of one lookup", ["domain", "result"], buckets=_LATENCY, registry=registry
        )
        self.verdicts = Counter("tuneloop_semantic_verdicts", "Hits verified: right, wrong", ["domain", "verdict"], registry=registry)
        self.skipped = Counter("tuneloop_semantic_unverified", "Hits drawn for verification that found no idle engine", registry=registry)
        self._false_hits = Gauge(
            "tuneloop_semantic_false_hit_ratio", "Share of the verified hits that were wrong", ["domain"], registry=registry
        )
        self._entries = Gauge("tuneloop_semantic_entries", "Entries that this pod can find", registry=registry)
        self._partitions = Gauge("tuneloop_semantic_partitions", "Partitions that this pod holds", registry=registry)
        self._judged: Tally[tuple[str, str]] = Tally()

    def judged(self, domain: str, verdict: str) -> None:
        """`right` or `wrong`, by a verification. What users say is not counted here: nobody rates what was right."""
        self.verdicts.labels(domain, verdict).inc()
        self._judged[domain, verdict] += 1
        right, wrong = self._judged[domain, "right"], self._judged[domain, "wrong"]
        if right + wrong:
            self._false_hits.labels(domain).set(wrong / (right + wrong))

    def follow(self, entries: Callable[[], int], partitions: Callable[[], int]) -> None:
        """Read at each scrape."""
        self._entries.set_function(entries)
        self._partitions.set_function(partitions)
