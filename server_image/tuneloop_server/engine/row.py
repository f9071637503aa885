"""One answer while it is made: what was asked, what came so far, where it goes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tuneloop_server.engine.base import Piece, Sampling
from tuneloop_server.engine.sampling import Sampler
from tuneloop_server.engine.text import Decode, Detokeniser, StopText

Emit = Callable[[Piece | Exception], None]


@dataclass(frozen=True)
class Vocabulary:
    decode: Decode
    """Without special tokens."""
    ends: frozenset[int]
    """Tokens that end an answer."""


class Row:
    """Lives on the worker's thread, except for `cancelled`, which any thread may set."""

    def __init__(self, prompt: Sequence[int], sampling: Sampling, adapter: str | None, vocabulary: Vocabulary, emit: Emit) -> None:
        self.prompt = tuple(prompt)
        self.sampling = sampling
        self.adapter = adapter
        self.cancelled = False
        self.started = False
        self.finished = False
        self._emit = emit
        self._ends = vocabulary.ends
        self._text = Detokeniser(vocabulary.decode)
        self._stop = StopText(sampling.stop)
        self._tokens = 0

    @property
    def over(self) -> bool:
        return self.finished or self.cancelled

    @property
    def most(self) -> int:
        """Tokens that prompt and answer have together, if it is not over before."""
        return len(self.prompt) + self.sampling.max_tokens

    def accept(self, token: int) -> None:
        """Take the next token, hand out the text that became certain, and notice the end."""
        self._tokens += 1
        if token in self._ends:
            return self._finish("stop", self._last_words())
        text, stopped = self._stop.push(self._text.push(token))
        if stopped:
            return self._finish("stop", text)
        if self._tokens >= self.sampling.max_tokens:
            return self._finish("length", text + self._last_words())
        self._emit(Piece(text))

    def fail(self, error: Exception) -> None:
        if not self.over:
            self.finished = True
            self._emit(error)

    def _last_words(self) -> str:
        text, stopped = self._stop.push(self._text.flush())
        return text if stopped else text + self._stop.flush()

    def _finish(self, reason: str, text: str) -> None:
        self.finished = True
        self._emit(Piece(text, finish=reason))


@dataclass(frozen=True)
class BatchRow:
    """A row among those that share a pass of the model."""

    row: Row
    sampler: Sampler
    slot: int | None
    """Of its adapter; None: the base."""

    @property
    def order(self) -> tuple[bool, int]:
        """Rows stand in the order of their slots, those of the base last."""
        return self.slot is None, self.slot or 0
