"""What the rest of the server knows of a model. No torch here: another engine may decode elsewhere."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

QUEUE_PER_ROW = 16
"""Requests that may wait for each row of a batch; more would time out at their clients anyway."""
RETRY_AFTER = 2
"""Seconds, for those that were turned away."""
PROBE_TEXT = "How do I return an order?"
"""What an adapter is tried on, against the base. Short, since answers that are being made wait for it: an adapter that changes
anything changes what comes after any text."""


@dataclass(frozen=True)
class BaseFacts:
    """The base model as it was loaded."""

    digest: str
    context: int
    """Longest prompt and answer together, in tokens."""
    linears: Mapping[str, tuple[int, int]]
    """(out, in) features of each linear layer that an adapter may change, by module path."""
    description: str
    """One line for the log: architecture, precision, device, seconds to load."""


BARE = ""
"""The role of a prompt that the model goes on from as it is, without its chat template. Such a message comes alone."""


@dataclass(frozen=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True)
class Sampling:
    max_tokens: int
    temperature: float = 1.0
    """0 = the likeliest token, always."""
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None

    @property
    def deterministic(self) -> bool:
        return self.temperature == 0 or self.seed is not None


@dataclass(frozen=True)
class Generation:
    messages: tuple[Message, ...]
    sampling: Sampling
    adapter: str | None
    """The handle under which it was loaded; None = the base alone."""

    @property
    def bare(self) -> bool:
        return self.messages[0].role == BARE


@dataclass(frozen=True)
class Piece:
    """What one step added to an answer. The last piece has a finish reason, and may have no text."""

    text: str
    tokens: int = 1
    finish: str = ""
    """`stop` or `length`."""


@dataclass(frozen=True)
class AdapterWeights:
    """An adapter that has passed preflight."""

    config: Mapping[str, object]
    """PEFT's adapter_config.json."""
    weights: bytes
    """A safetensors file."""


@dataclass(frozen=True)
class Pressure:
    running: int
    waiting: int


class Answer(Protocol):
    """One answer on its way. Iterate it to its end, or cancel it: until then it holds a row of the batch."""

    @property
    def prompt_tokens(self) -> int: ...

    def pieces(self) -> AsyncIterator[Piece]:
        """Raises ApiError when the engine breaks on it."""
        ...

    def cancel(self) -> None:
        """Free the row; harmless after the end."""
        ...


class Engine(Protocol):
    """Thread-safe towards its own model; called from the event loop only, where nothing else is said."""

    @property
    def facts(self) -> BaseFacts: ...

    @property
    def ready(self) -> bool:
        """It answers, and holds what was loaded. An engine in another process may restart."""
        ...

    @property
    def broken(self) -> bool:
        """Nothing in this process can mend it."""
        ...

    def on_lost(self, tell: Callable[[str], None]) -> None:
        """Call `tell` with the handle of an adapter that was loaded, and is gone for good."""
        ...

    async def generate(self, request: Generation) -> Answer:
        """Raises PromptTooLong, BadRequest (the chat template refuses the messages), TryLater (the queue is full) or Unavailable."""
        ...

    async def load(self, handle: str, adapter: AdapterWeights) -> float:
        """Put an adapter beside the others while answers run. Returns the largest difference of its logits to the base's on a
        fixed prompt: 0 = without effect, NaN = broken. Leaves nothing behind when it raises."""
        ...

    async def unload(self, handle: str) -> None:
        """Nobody may be using it any more."""
        ...

    def pressure(self) -> Pressure:
        """From any thread."""
        ...

    def close(self) -> None:
        """Ends the worker; running answers fail. Harmless the second time."""
        ...
