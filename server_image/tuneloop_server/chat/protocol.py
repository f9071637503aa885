"""OpenAI's chat completions on the wire: what we read of a request. Pure; answers are in wire.

Fields that we do not know are ignored, as vLLM's server does. What would change the answer in a way that we cannot give is
refused: tools, several choices, penalties, formats other than text, content other than text.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tuneloop_server.engine.base import Message, Sampling
from tuneloop_server.errors import BadRequest

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}

MOST_TOKENS = 2**20
"""No model reads as many: who asks for more has made a slip. Below it, an answer ends at MAX_NEW_TOKENS or at the context's end."""

MOST_MESSAGES = 2048
"""As OpenAI's models on Azure take. A megabyte of the shortest would keep everybody else waiting while they are read."""

Tokens = Annotated[int, Field(ge=1, le=MOST_TOKENS)]

Refused = Mapping[str, tuple[object, ...]]
"""Fields that would change the answer, and what they may say all the same. Null, zero and empty ones ask for nothing."""

_OPENAI: Refused = dict.fromkeys(("logprobs", "top_logprobs", "logit_bias", "frequency_penalty", "presence_penalty"), ())
_VLLM: Refused = {
    "top_k": (-1,), "min_p": (), "repetition_penalty": (1,), "length_penalty": (1,), "best_of": (1,), "use_beam_search": (),
    "stop_token_ids": (), "min_tokens": (), "ignore_eos": (), "structured_outputs": (), "guided_json": (), "guided_regex": (),
    "guided_choice": (), "guided_grammar": (), "prompt_logprobs": (), "logits_processors": (), "bad_words": (), "allowed_token_ids": (),
    "truncate_prompt_tokens": (), "include_stop_str_in_output": (),
}  # fmt: skip
"""Its extra parameters, which clients made for it send along: https://docs.vllm.ai/en/latest/serving/openai_compatible_server/"""
_TOOLS: Refused = {"tools": (), "functions": (), "tool_choice": ("none", "auto"), "function_call": ("none", "auto")}
_TEMPLATING: Refused = {"chat_template": (), "chat_template_kwargs": (), "continue_final_message": (), "echo": (), "documents": ()}
_OTHER_MEDIA: Refused = {"audio": (), "modalities": (["text"],), "response_format": ({"type": "text"},)}


class StreamOptions(BaseModel):
    include_usage: bool | None = None


class AnswerRequest(BaseModel, ABC):
    """What every request for an answer has in common."""

    model_config = ConfigDict(extra="ignore")

    operation: ClassVar[str]
    """As OpenTelemetry calls it."""
    id_prefix: ClassVar[str]
    """Of an answer's id, as OpenAI's servers make it."""
    refused: ClassVar[Refused] = {**_OPENAI, **_VLLM}

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
        for name, harmless in cls.refused.items():
            asked = value.get(name)
            if asked and asked not in harmless:
                but = f"; only {' or '.join(map(json.dumps, harmless))} is" if harmless else ""
                raise BadRequest(f"{name} is not supported{but}", param=name)
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

    @model_validator(mode="before")
    @classmethod
    def no_calls(cls, message: object) -> object:
        """What an assistant called, or heard, is part of what the model should read."""
        asked = [name for name in ("tool_calls", "function_call", "audio") if isinstance(message, dict) and message.get(name)]
        if asked:
            raise ValueError(f"{asked[0]} is not supported")
        return message

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
    refused: ClassVar[Refused] = {
        **AnswerRequest.refused, **_TOOLS, **_TEMPLATING, **_OTHER_MEDIA, "prediction": (), "web_search_options": (),
    }  # fmt: skip

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MOST_MESSAGES, fail_fast=True)]
    max_completion_tokens: Tokens | None = None
    """The newer name of max_tokens."""

    @property
    def asked_tokens(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    def turns(self) -> tuple[Message, ...]:
        return tuple(Message(message.role, message.content) for message in self.messages)

    def user_texts(self) -> tuple[str, ...]:
        return tuple(message.content for message in self.messages if message.role == "user")
