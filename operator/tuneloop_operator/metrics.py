"""What Prometheus is told. No label holds text that a user wrote, but for names of objects' kinds and states."""

from collections import Counter as Count
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from tuneloop_operator.queue import Key


class _States:
    """Objects by state, as they are now: a collector, so that a state that nobody is in any more shows none."""

    def __init__(self, name: str, about: str, label: str) -> None:
        self._name, self._about, self._label = name, about, label
        self.of: dict[Key, str] = {}

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(self._name, self._about, labels=[self._label])
        for state, number in sorted(Count(self.of.values()).items()):
            family.add_metric([state], number)
        yield family


class Metrics:
    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._passes = Counter("tuneloop_reconciles", "Passes over objects.", ["kind", "outcome"], registry=self._registry)
        self._seconds = Histogram("tuneloop_reconcile_seconds", "Duration of a pass.", ["kind"], registry=self._registry)
        self._depth = Gauge("tuneloop_queue_depth", "Objects that wait for a pass.", registry=self._registry)
        self._jobs = _States("tuneloop_finetunejobs", "FineTuneJobs by stage.", "stage")
        self._adapters = _States("tuneloop_loraadapters", "LoRAAdapters by the reason of their Ready condition.", "reason")
        self._registry.register(self._jobs)
        self._registry.register(self._adapters)

    def passed(self, key: Key, outcome: str, seconds: float) -> None:
        self._passes.labels(key.kind, outcome).inc()
        self._seconds.labels(key.kind).observe(seconds)

    def watch_depth(self, depth: Callable[[], int]) -> None:
        self._depth.set_function(depth)

    def job(self, key: Key, stage: str) -> None:
        self._jobs.of[key] = stage

    def adapter(self, key: Key, reason: str) -> None:
        self._adapters.of[key] = reason

    def forget(self, key: Key) -> None:
        self._jobs.of.pop(key, None)
        self._adapters.of.pop(key, None)

    def render(self) -> bytes:
        return generate_latest(self._registry)
