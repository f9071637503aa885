"""What the semantic tier is asked, and what it hands out."""

from dataclasses import dataclass

from tuneloop_server.engine.base import Message, Sampling


@dataclass(frozen=True)
class Lookup:
    """One request, after its revision was chosen."""

    tenant: str
    domain: str
    """"" when the text belongs to none."""
    base_digest: str
    adapter_digest: str
    """"" for the base."""
    messages: tuple[Message, ...]
    sampling: Sampling
    exact_key: str
    interaction: str = ""
    """By which a thumbs-down will name the answer; "" if it cannot."""

    @property
    def question(self) -> str:
        """The last message, if the user wrote it; else ""."""
        last = self.messages[-1]
        return last.content.strip() if last.role == "user" else ""


@dataclass(frozen=True)
class Answer:
    """A finished one."""

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    origin: str
    """The interaction that it was generated in; "" if that went unrecorded."""
    written: float
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Hit:
    answer: Answer
    entry: str
    """Where it came from, to take it away if it was wrong."""
    question: str
    """That it was generated for."""
    similarity: float
    """Cosine of the two questions."""
    age: int
    """Seconds."""
    tier: str = "semantic"
