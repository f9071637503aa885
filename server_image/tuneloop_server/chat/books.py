"""What is written of a turn: the record, metrics, a line in the log."""

import logging

from tuneloop_contracts.names import AUTO
from tuneloop_server.cache.tiers import Hit, Stored
from tuneloop_server.chat.turn import BASE, Turn
from tuneloop_server.errors import ApiError
from tuneloop_server.metrics import Metrics
from tuneloop_server.record.recorder import Recorder

log = logging.getLogger(__name__)


class Books:
    def __init__(self, metrics: Metrics, recorder: Recorder | None) -> None:
        self._metrics = metrics
        self._recorder = recorder

    def answered(self, turn: Turn, answer: Stored, *, repeated: bool) -> None:
        """An answer that came to its end: generated for this turn, or for another one before."""
        if self._recorder and turn.caller.record:
            self._recorder.put(turn.to_record(answer, repeated=repeated))

    def first_piece(self, turn: Turn) -> None:
        self._metrics.first_token.observe(turn.seconds)

    def generated(self, prompt_tokens: int, tokens: int) -> None:
        """Once for each generation, however it ended."""
        self._metrics.prompt_tokens.inc(prompt_tokens)
        self._metrics.generation_tokens.inc(tokens)

    def ended(self, turn: Turn, outcome: str, hit: Hit | None) -> None:
        """Once for each turn, however it ends."""
        label, domain = turn.cache_label(hit), turn.decision.domain
        self._metrics.requests.labels(turn.revision, outcome).inc()
        self._metrics.cache.labels(label, domain).inc()
        self._metrics.seconds.labels(label, domain).observe(turn.seconds)
        if turn.decision.missing:
            self._metrics.fallbacks.labels(turn.decision.missing).inc()
        log.info("chat %s adapter=%s outcome=%s cache=%s ms=%d", _kind(turn), turn.revision, outcome, label, 1000 * turn.seconds)


def outcome_of(error: BaseException) -> str:
    """For a label: an OpenAI code, or that the client went away."""
    return error.code or error.type if isinstance(error, ApiError) else "cancelled"


def _kind(turn: Turn) -> str:
    """How it was asked for, for the log."""
    model = turn.reading.request.model
    return model if model in (AUTO, turn.decision.domain, turn.decision.revision) else BASE
