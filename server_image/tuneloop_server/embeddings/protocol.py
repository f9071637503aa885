"""OpenAI's embeddings on the wire. Pure."""

import base64
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

MOST_TEXTS = 256
"""In one request. OpenAI takes 2048; on our cores that would be half a minute of MiniLM."""

Text = Annotated[str, Field(min_length=1, max_length=32_000)]


class EmbeddingsRequest(BaseModel):
    model_config = ConfigDict(extra="ignore")

    model: Annotated[str, Field(min_length=1)]
    input: Annotated[list[Text], Field(min_length=1, max_length=MOST_TEXTS)]
    encoding_format: Literal["float", "base64"] | None = None
    """Default float. base64: of little-endian float32, as the openai SDK asks for."""
    dimensions: Annotated[int, Field(ge=1)] | None = None
    """Refused unless it is what the model gives: its vectors cannot be cut."""

    @field_validator("input", mode="before")
    @classmethod
    def as_list(cls, given: object) -> object:
        """A text, or a list of texts. Lists of tokens, as LangChain's client sends them, are refused: they are of another tokenizer."""
        if isinstance(given, list) and any(isinstance(one, int | list) for one in given):
            raise ValueError("only texts are supported, no tokens (LangChain sends texts with check_embedding_ctx_length=False)")
        return [given] if isinstance(given, str) else given


def embeddings(*, model: str, rows: Any, encoding: str | None, tokens: int) -> dict[str, Any]:
    """The body of an answer. `rows`: [texts, dimensions] float32."""
    data = [{"object": "embedding", "index": index, "embedding": _encoded(row, encoding)} for index, row in enumerate(rows)]
    return {"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def _encoded(row: Any, encoding: str | None) -> object:
    return base64.b64encode(np.asarray(row, dtype="<f4").tobytes()).decode() if encoding == "base64" else [float(value) for value in row]
