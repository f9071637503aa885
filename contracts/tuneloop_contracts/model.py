"""The base of every wire value: frozen, camelCase outside, snake_case inside."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Wire(BaseModel):
    """A value on a wire between images. Unknown fields are ignored, so that two versions can talk during an upgrade."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, use_attribute_docstrings=True
    )

    def to_wire(self) -> dict[str, Any]:
        """JSON-ready, with the outside names; fields that are None are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
