"""OpenAI's text completions on the wire: what we read of a request. Pure."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from tuneloop_server.chat.protocol import AnswerRequest, Refused
from tuneloop_server.engine.base import BARE, Message
from tuneloop_server.errors import BadRequest

DEFAULT_TOKENS = 16
"""OpenAI's: https://platform.openai.com/docs/api-reference/completions/create"""


class CompletionRequest(AnswerRequest):
    operation = "text_completion"
    id_prefix = "cmpl"
    refused: ClassVar[Refused] = {**AnswerRequest.refused, "suffix": (), "echo": ()}

    prompt: Annotated[str, Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def no_logprobs(cls, value: dict[str, Any]) -> dict[str, Any]:
        if value.get("logprobs") == 0:  # here it is a number of alternatives, and 0 asks for the chosen token's
            raise BadRequest("logprobs is not supported", param="logprobs")
        return value

    @field_validator("prompt", mode="before")
    @classmethod
    def one_text(cls, prompt: object) -> object:
        """A string, or a list of one."""
        if not isinstance(prompt, list):
            return prompt
        if len(prompt) != 1 or not isinstance(prompt[0], str):
            raise ValueError("only one prompt, as text, is supported")
        return prompt[0]

    @property
    def asked_tokens(self) -> int:
        return self.max_tokens or DEFAULT_TOKENS

    def turns(self) -> tuple[Message, ...]:
        return (Message(BARE, self.prompt),)

    def user_texts(self) -> tuple[str, ...]:
        return (self.prompt,)
