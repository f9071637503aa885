"""Spans to an OTLP endpoint over HTTP. The only module that imports OpenTelemetry, and imported only by who wants it.

Where to, how often and how much is said by OpenTelemetry's own variables, which its SDK reads: OTEL_EXPORTER_OTLP_*, OTEL_BSP_*,
OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES.
"""

import logging
import time

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tuneloop_server.tracing.span import PROVIDER, AnswerSpan

logging.getLogger("opentelemetry.util.re").setLevel(logging.ERROR)  # it warns of a header by quoting it: the collector's password

FLUSH_MILLISECONDS = 3000
"""At the end; a collector that is away must not keep the pod."""


class Otlp:
    """A Tracing. Sends from a thread of its own; when its queue is full, spans are dropped."""

    def __init__(self) -> None:
        """Raises ValueError for variables that contradict each other."""
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._batches = BatchSpanProcessor(OTLPSpanExporter())
        provider.add_span_processor(self._batches)
        self._tracer = provider.get_tracer(__package__ or PROVIDER)
        self._propagator = TraceContextTextMapPropagator()

    def export(self, answer: AnswerSpan) -> None:
        """The kind is SERVER, as vLLM's: the CLIENT is the caller's span, which `traceparent` names."""
        end = time.time_ns()
        span = self._tracer.start_span(
            f"{answer.operation} {answer.model}",
            context=self._propagator.extract(answer.trace),
            kind=SpanKind.SERVER,
            attributes=answer.attributes(),
            start_time=end - int(answer.seconds * 1e9),
        )
        if not answer.finished:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end)

    def flush(self) -> None:
        self._batches.force_flush(FLUSH_MILLISECONDS)


def _resource() -> Resource:
    found = Resource.create()
    named = not str(found.attributes[SERVICE_NAME]).startswith("unknown_service")
    return found if named else found.merge(Resource({SERVICE_NAME: PROVIDER}))
