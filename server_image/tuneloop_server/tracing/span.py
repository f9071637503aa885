"""What a span says of an answer, by OpenTelemetry's conventions for generative AI. Pure.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
Without its opt-in attributes, and without stop sequences: no word of a prompt, an answer or a user.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tuneloop_server.engine.base import Sampling

PROVIDER = "tuneloop"

Attributes = dict[str, str | int | float | list[str]]


@dataclass(frozen=True)
class AnswerSpan:
    operation: str
    """`chat` or `text_completion`."""
    id: str
    model: str
    """As asked for."""
    answered_by: str
    """The revision, or `base`."""
    cache: str
    """X-Cache."""
    sampling: Sampling
    outcome: str
    """A finish reason, an error's code, or `cancelled`."""
    seconds: float
    prompt_tokens: int
    completion_tokens: int
    trace: Mapping[str, str]
    """The request's `traceparent` and `tracestate`."""

    @property
    def finished(self) -> bool:
        return self.outcome in ("stop", "length")

    def attributes(self) -> Attributes:
        seed: Attributes = {} if self.sampling.seed is None else {"gen_ai.request.seed": self.sampling.seed}
        end: Attributes = {"gen_ai.response.finish_reasons": [self.outcome]} if self.finished else {"error.type": self.outcome}
        return seed | end | {
            "gen_ai.operation.name": self.operation,
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.request.model": self.model,
            "gen_ai.request.max_tokens": self.sampling.max_tokens,
            "gen_ai.request.temperature": self.sampling.temperature,
            "gen_ai.request.top_p": self.sampling.top_p,
            "gen_ai.response.id": self.id,
            "gen_ai.response.model": self.answered_by,
            "gen_ai.usage.input_tokens": self.prompt_tokens,
            "gen_ai.usage.output_tokens": self.completion_tokens,
            "tuneloop.cache": self.cache,
        }  # fmt: skip


class Tracing(Protocol):
    def export(self, answer: AnswerSpan) -> None:
        """Once a request has ended, however it did. Does not wait."""
        ...

    def flush(self) -> None:
        """Blocking, for some seconds at most."""
        ...
