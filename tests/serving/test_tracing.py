"""Spans as a collector gets them, and nothing at all for those who set none."""

import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from builders_adapters import REPOSITORY
from lightserver import BASE, HeldEngine, LightServer, light_server
from otlpreceiver import Receiver, attributes_of, receiver
from tuneloop_server.errors import TryLater
from tuneloop_server.parts import start_tracing
from tuneloop_server.settings import BadSettings, wants_traces
from waiting import until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
QUESTION = "Where is the parcel of Ms Confidential?"


@pytest.fixture
async def traced(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> AsyncIterator[tuple[LightServer, Receiver]]:
    with receiver() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        async with light_server(redis_url, HeldEngine(), traces=True) as server:
            yield server, collector


async def test_an_answer_is_a_span_under_its_callers(traced: tuple[LightServer, Receiver]) -> None:
    server, collector = traced
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=x"}
    answer = await server.ask(QUESTION, headers=headers, max_tokens=9, seed=4)
    await until(lambda: collector.spans)
    (span,) = collector.spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == (f"chat {BASE}", TRACE, PARENT)
    assert span.trace_state == "vendor=x"
    assert span.kind == span.SPAN_KIND_SERVER
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 20e9
    assert attributes_of(span) == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "tuneloop", "gen_ai.request.model": BASE, "gen_ai.request.max_tokens": 9,
        "gen_ai.request.temperature": 0.0, "gen_ai.request.top_p": 1.0, "gen_ai.request.seed": 4, "gen_ai.response.id": answer.json()["id"],
        "gen_ai.response.model": "base", "gen_ai.response.finish_reasons": ["stop"], "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3, "tuneloop.cache": "miss",
    }  # fmt: skip
    assert collector.services == {"tuneloop"}
    assert b"Confidential" not in span.SerializeToString()
    assert b"three" not in span.SerializeToString()


async def test_repetitions_and_streams_are_spans_too_and_failures_say_why(traced: tuple[LightServer, Receiver]) -> None:
    server, collector = traced
    await server.ask(QUESTION)
    await server.ask(QUESTION)
    await server.ask(QUESTION, stream=True, seed=1)
    server.engine.first.append([TryLater("full")])
    await server.ask(QUESTION, seed=2)
    await until(lambda: len(collector.spans) == 4)
    said = [attributes_of(span) for span in sorted(collector.spans, key=lambda span: span.end_time_unix_nano)]
    assert [one["tuneloop.cache"] for one in said] == ["miss", "hit-exact", "miss", "miss"]
    assert [one["gen_ai.usage.output_tokens"] for one in said] == [3, 3, 3, 0]
    assert [one.get("error.type") for one in said] == [None, None, None, "queue_full"]
    assert [span.status.code for span in collector.spans].count(2) == 1
    assert len({span.trace_id for span in collector.spans}) == 4, "each is the root of its own trace"


async def test_a_traceparent_that_is_none_is_ignored(traced: tuple[LightServer, Receiver]) -> None:
    server, collector = traced
    assert (await server.ask(QUESTION, headers={"traceparent": "00-zz-zz-01"})).status_code == 200
    await until(lambda: collector.spans)
    assert collector.spans[0].parent_span_id == b""


async def test_a_collector_that_is_away_costs_no_answer(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    async with light_server(redis_url, HeldEngine(), traces=True) as server:
        assert (await server.ask(QUESTION)).status_code == 200


@pytest.mark.parametrize(
    ("env", "want"),
    [
        pytest.param({}, False, id="nothing set"),
        pytest.param({"OTEL_SERVICE_NAME": "chat"}, False, id="a name alone"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True, id="a place"),
        pytest.param({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x/v1/traces"}, True, id="a place for traces"),
        pytest.param({"OTEL_TRACES_EXPORTER": "otlp"}, True, id="asked for"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, False, id="no traces"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}, False, id="switched off"),
    ],
)
def test_who_wants_traces(env: dict[str, str], want: bool) -> None:
    assert wants_traces(env) is want


def test_variables_that_contradict_each_other_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10000")
    with pytest.raises(BadSettings, match=r"^OTEL_\*: max_export_batch_size"):
        start_tracing()


def test_a_collectors_password_is_not_in_the_log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Written with a space where a = should be."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization hunter2")
    start_tracing()
    assert "hunter2" not in caplog.text


def test_without_tracing_no_exporter_is_loaded() -> None:
    """Of OpenTelemetry itself, redis-py imports a part wherever it is installed."""
    program = "import sys, tuneloop_server.serve; print([name for name in sys.modules if name.startswith('opentelemetry.exporter')])"
    places = ":".join(str(REPOSITORY / name) for name in ("contracts", "server_image"))
    done = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": places}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
