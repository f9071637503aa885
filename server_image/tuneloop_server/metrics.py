"""What Prometheus scrapes. Labels hold names of models and outcomes: never a prompt, a tenant or a user."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tuneloop_server.engine.base import Pressure

_LATENCY = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80)
"""Seconds: a cache hit takes less than a millisecond, a long answer on a CPU a minute."""

_TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


class Metrics:
    """Own registry: several servers may live in one process, as in tests. vLLM's names where vLLM has one."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("tuneloop_requests_total", "Chat requests by revision and outcome", "adapter", "outcome")
        self.seconds = Histogram(
            "tuneloop_request_seconds", "From request to its answer's end", ["cache", "domain"], buckets=_LATENCY, registry=self.registry
        )
        self.first_token = Histogram(
            "vllm:time_to_first_token_seconds", "From request to the first piece", buckets=_LATENCY, registry=self.registry
        )
        self.cache = self._counter("tuneloop_cache_total", "Chat requests: hit-exact, hit-semantic, miss, bypass", "result", "domain")
        self.cache_errors = self._counter("tuneloop_cache_errors_total", "Times the cache was passed by because Redis was away")
        self.fallbacks = self._counter("tuneloop_fallbacks_total", "Requests whose revision was not loaded here", "wanted")
        self.written = self._counter("tuneloop_records_written_total", "Entries of the record that Redis took")
        self.dropped = self._counter("tuneloop_records_dropped_total", "Entries of the record that were given up")
        self.refused = self._counter("tuneloop_refused_total", "Requests turned away at the gate", "reason")
        self.broke = self._counter("tuneloop_task_failures_total", "Times that a background task ended and was begun again", "task")
        self.prompt_tokens = self._counter("vllm:prompt_tokens_total", "Tokens of prompts read")
        self.generation_tokens = self._counter("vllm:generation_tokens_total", "Tokens generated")
        self._like_vllm()
        self.redis_up = Gauge("tuneloop_redis_up", "1 if the last try succeeded", ["role"], registry=self.registry)
        self.adapters = Gauge("tuneloop_adapters", "Entries of the manifest by state", ["state"], registry=self.registry)
        self._remembered = Gauge("tuneloop_cache_memory_bytes", "Answers in this pod's own memory", registry=self.registry)
        self._running = Gauge("vllm:num_requests_running", "Rows being decoded", registry=self.registry)
        self._waiting = Gauge("vllm:num_requests_waiting", "Rows waiting for a place", registry=self.registry)

    def follow_memory(self, remembered: Callable[[], int]) -> None:
        """Read at each scrape."""
        self._remembered.set_function(remembered)

    def follow(self, pressure: Callable[[], Pressure]) -> None:
        """Read at each scrape."""
        self._running.set_function(lambda: pressure().running)
        self._waiting.set_function(lambda: pressure().waiting)

    def _like_vllm(self) -> None:
        """Of what was generated here, by vLLM's names and definitions, so that dashboards and autoscalers made for it read the engine
        rather than the cache: https://docs.vllm.ai/en/latest/usage/metrics/"""
        self.success = self._counter("vllm:request_success_total", "Generations that came to their end", "finished_reason")
        self.e2e = self._seconds("vllm:e2e_request_latency_seconds", "From a generation's request to its end")
        self.inter_token = self._seconds("vllm:inter_token_latency_seconds", "Between two pieces of an answer")
        self.per_token = self._seconds("vllm:request_time_per_output_token_seconds", "Mean between tokens, of each generation")
        self.prompt_sizes = self._sizes("vllm:request_prompt_tokens", "Tokens of each prompt")
        self.generation_sizes = self._sizes("vllm:request_generation_tokens", "Tokens of each generation")

    def _seconds(self, name: str, what: str) -> Histogram:
        return Histogram(name, what, buckets=_LATENCY, registry=self.registry)

    def _sizes(self, name: str, what: str) -> Histogram:
        return Histogram(name, what, buckets=_TOKENS, registry=self.registry)

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(name, what, labels, registry=self.registry)
