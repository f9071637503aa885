"""Times one generation as vLLM does, whoever listens to it."""

import time
from collections.abc import Callable

from tuneloop_server.engine.base import Piece
from tuneloop_server.metrics import Metrics


class Meter:
    """Begins when it is made."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._began = clock()
        self._first = self._last = 0.0
        self._finish = ""
        self.tokens = 0

    def piece(self, piece: Piece) -> None:
        now = self._clock()
        if self.tokens:
            self._metrics.inter_token.observe(now - self._last)
        else:
            self._first = now
        self._last = now
        self.tokens += piece.tokens
        self._finish = piece.finish

    def ended(self, prompt_tokens: int) -> None:
        """However it did; only what came to its end is counted by request."""
        metrics = self._metrics
        metrics.prompt_tokens.inc(prompt_tokens)
        metrics.generation_tokens.inc(self.tokens)
        if not self._finish:
            return
        metrics.success.labels(self._finish).inc()
        metrics.e2e.observe(self._last - self._began)
        metrics.prompt_sizes.observe(prompt_tokens)
        metrics.generation_sizes.observe(self.tokens)
        if self.tokens > 1:
            metrics.per_token.observe((self._last - self._first) / (self.tokens - 1))
