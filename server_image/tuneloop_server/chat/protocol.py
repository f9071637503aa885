"""OpenAI's chat completions on the wire: what we read of a request. Pure; answers are in wire.

Fields that we do not know are ignored, as OpenAI's servers do. What would change the answer in a way that we cannot give is
refused: tools, several choices, penalties, formats other than text, content other than text.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tuneloop_server.engine.base import Message, Sampling

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}

MOST_TOKENS = 2**20
"""No model reads as many: who asks for more has made a slip. Below it, an answer ends at MAX_NEW_TOKENS or at the context's end."""

Tokens = Annotated[int, Field(ge=1, le=MOST_TOKENS)]


class StreamOptions(BaseModel):
    include_usage: bool = False


class AnswerRequest(BaseModel, ABC):
    """What every request for an answer has in common."""

    model_config = ConfigDict(extra="ignore")

    operation: ClassVar[str]
    """As OpenTelemetry calls it."""
    id_prefix: ClassVar[str]
    """Of an answer's id, as OpenAI's servers make it."""
    refused: ClassVar[tuple[str, ...]] = ("logprobs", "top_logprobs", "logit_bias", "frequency_penalty", "presence_penalty")
    """Would change the answer; null, zero and empty ones ask for nothing."""

    model: Annotated[str, Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Default 1, as OpenAI's. 0 decodes greedily."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Tokens | None = None
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]], Field(max_length=4)] = Field(default_factory=list)
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    metadata: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def refuse_what_we_cannot_do(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in cls.refused:
            if value.get(name):
                raise ValueError(f"{name} is not supported")
        return value

    @field_validator("n")
    @classmethod
    def one_choice(cls, n: int | None) -> int | None:
        if n not in (None, 1):
            raise ValueError("only n=1 is supported")
        return n

    @field_validator("stop", mode="before")
    @classmethod
    def as_list(cls, stop: object) -> object:
        return [] if stop is None else [stop] if isinstance(stop, str) else stop

    @abstractmethod
    def turns(self) -> tuple[Message, ...]:
        """What the model reads."""

    @abstractmethod
    def user_texts(self) -> tuple[str, ...]:
        """What the user wrote of it."""

    @property
    def asked_tokens(self) -> int | None:
        return self.max_tokens

    def sampling(self, most_tokens: int) -> Sampling:
        return Sampling(
            max_tokens=min(self.asked_tokens or most_tokens, most_tokens),
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            stop=tuple(self.stop),
            seed=self.seed,
        )

    @property
    def wants_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def conversation(self) -> str:
        named = (self.metadata or {}).get("conversation_id")
        return named if isinstance(named, str) else ""


class ChatMessage(BaseModel):
    role: str
    content: str

    @field_validator("role")
    @classmethod
    def known_role(cls, role: str) -> str:
        if role not in _ROLES:
            raise ValueError(f"role must be one of {', '.join(_ROLES)}")
        return _ROLES[role]

    @field_validator("content", mode="before")
    @classmethod
    def text_only(cls, content: object) -> object:
        """A string, or a list of text parts."""
        if not isinstance(content, list):
            return content
        if not all(isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str) for part in content):
            raise ValueError("only content of type text is supported")
        return "".join(part["text"] for part in content)


class ChatRequest(AnswerRequest):
    operation = "chat"
    id_prefix = "chatcmpl"
    refused = (*AnswerRequest.refused, "tools", "functions", "audio", "prediction", "web_search_options")

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: Tokens | None = None
    """The newer name of max_tokens."""

    @model_validator(mode="before")
    @classmethod
    def text_or_nothing(cls, value: dict[str, Any]) -> dict[str, Any]:
        if value.get("response_format") not in (None, {"type": "text"}):
            raise ValueError("response_format other than text is not supported")
        return value

    @property
    def asked_tokens(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    def turns(self) -> tuple[Message, ...]:
        return tuple(Message(message.role, message.content) for message in self.messages)

    def user_texts(self) -> tuple[str, ...]:
        return tuple(message.content for message in self.messages if message.role == "user")
