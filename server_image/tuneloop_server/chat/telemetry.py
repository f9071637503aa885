"""Reports each turn: to the record, metrics, a span, a line in the log."""

import logging

from tuneloop_contracts.names import AUTO
from tuneloop_server.cache.tiers import FinishedAnswer, Hit
from tuneloop_server.chat.meter import Meter
from tuneloop_server.chat.turn import BASE, Turn
from tuneloop_server.errors import ApiError
from tuneloop_server.metrics import Metrics
from tuneloop_server.record.recorder import Recorder
from tuneloop_server.tracing.span import AnswerSpan, Tracing

log = logging.getLogger(__name__)


class Telemetry:
    def __init__(self, metrics: Metrics, recorder: Recorder | None, tracing: Tracing | None) -> None:
        self._metrics = metrics
        self._recorder = recorder
        self._tracing = tracing

    def answered(self, turn: Turn, answer: FinishedAnswer, *, repeated: bool) -> None:
        """An answer that came to its end: generated for this turn, or for another one at the same time."""
        if self._recorder and turn.caller.record:
            self._recorder.put(turn.to_record(answer, repeated=repeated))

    def hit(self, turn: Turn, answer: FinishedAnswer) -> None:
        """An answer from before. One that was recorded is counted, since what it says is there already."""
        if not answer.origin:
            return self.answered(turn, answer, repeated=True)
        if self._recorder and turn.caller.record:
            self._recorder.count(answer.origin)

    def first_piece(self, turn: Turn) -> None:
        self._metrics.first_token.observe(turn.seconds)

    def meter(self) -> Meter:
        """For one generation, which begins now."""
        return Meter(self._metrics)

    def ended(self, turn: Turn, outcome: str, hit: Hit | None, *, prompt_tokens: int = 0, completion_tokens: int = 0) -> None:
        """Once for each turn, however it ends; the tokens are those of the answer, whoever generated it."""
        label, domain, operation = turn.cache_label(hit), turn.decision.domain, turn.parsed.request.operation
        self._metrics.requests.labels(turn.revision, outcome).inc()
        self._metrics.cache.labels(label, domain).inc()
        self._metrics.seconds.labels(label, domain).observe(turn.seconds)
        if turn.decision.missing:
            self._metrics.fallbacks.labels(turn.decision.missing).inc()
        if self._tracing:
            self._tracing.export(_span(turn, outcome, label, prompt_tokens, completion_tokens))
        log.info("%s %s adapter=%s outcome=%s cache=%s ms=%d", operation, _kind(turn), turn.revision, outcome, label, 1000 * turn.seconds)


def outcome_of(error: BaseException) -> str:
    """For a label: an OpenAI code, or that the client went away."""
    return error.code or error.type if isinstance(error, ApiError) else "cancelled"


def _span(turn: Turn, outcome: str, cache: str, prompt_tokens: int, completion_tokens: int) -> AnswerSpan:
    return AnswerSpan(
        operation=turn.parsed.request.operation, id=turn.id, model=turn.parsed.request.model, answered_by=turn.revision, cache=cache,
        sampling=turn.parsed.sampling, outcome=outcome, seconds=turn.seconds, prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens, trace=turn.caller.trace,
    )  # fmt: skip


def _kind(turn: Turn) -> str:
    """How it was asked for, for the log."""
    model = turn.parsed.request.model
    return model if model in (AUTO, turn.decision.domain, turn.decision.revision) else BASE
