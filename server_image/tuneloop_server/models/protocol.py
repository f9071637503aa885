"""OpenAI's list of models on the wire; `parent` and `root` as vLLM gives them for adapters."""

from pydantic import BaseModel


class Model(BaseModel):
    id: str
    object: str = "model"
    created: int
    owned_by: str = "tuneloop"
    root: str
    """What answers in the end: the base's or a revision's name; of a revision, the digest of its weights."""
    parent: str | None = None
    """The base under an adapter, a domain or `auto`."""


class ModelList(BaseModel):
    object: str = "list"
    data: list[Model]
