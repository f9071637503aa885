"""vLLM's metrics by vLLM's definitions: pure, by a clock in the hand; and over HTTP, where the cache must not count as generation."""

from lightserver import HeldEngine, light_server
from tuneloop_server.chat.meter import Meter
from tuneloop_server.engine.base import Piece
from tuneloop_server.metrics import Metrics

REQUEST_METRICS = (
    "vllm:e2e_request_latency_seconds_count", "vllm:request_time_per_output_token_seconds_count",
    "vllm:request_prompt_tokens_count", "vllm:request_generation_tokens_count",
)  # fmt: skip


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


def test_the_times_of_a_generation() -> None:
    """Asked at 10 s; pieces at 12, 13 and 15 s."""
    times = iter([10.0, 12.0, 13.0, 15.0])
    metrics = Metrics()
    meter = Meter(metrics, lambda: next(times))
    for piece in (Piece("a"), Piece("b"), Piece("c", finish="length")):
        meter.piece(piece)
    meter.ended(prompt_tokens=20)
    assert meter.tokens == 3
    assert value(metrics, "vllm:e2e_request_latency_seconds_sum") == 5.0
    assert (value(metrics, "vllm:inter_token_latency_seconds_count"), value(metrics, "vllm:inter_token_latency_seconds_sum")) == (2, 3.0)
    assert value(metrics, "vllm:request_time_per_output_token_seconds_sum") == 1.5
    assert value(metrics, "vllm:request_prompt_tokens_sum") == 20
    assert value(metrics, "vllm:request_generation_tokens_sum") == 3
    assert value(metrics, "vllm:request_success_total", finished_reason="length") == 1


def test_what_is_broken_off_counts_its_tokens_only() -> None:
    metrics = Metrics()
    meter = Meter(metrics)
    meter.piece(Piece("a"))
    meter.ended(prompt_tokens=20)
    assert (value(metrics, "vllm:prompt_tokens_total"), value(metrics, "vllm:generation_tokens_total")) == (20, 1)
    assert [value(metrics, name) for name in REQUEST_METRICS] == [0] * len(REQUEST_METRICS)


async def test_an_answer_from_the_cache_is_no_generation(redis_url: str) -> None:
    async with light_server(redis_url, HeldEngine()) as server:
        assert [await server.cached(), await server.cached()] == ["miss", "hit-exact"]
        metrics = server.parts.metrics
        assert [value(metrics, name) for name in REQUEST_METRICS] == [1] * len(REQUEST_METRICS)
        assert value(metrics, "vllm:request_success_total", finished_reason="stop") == 1
