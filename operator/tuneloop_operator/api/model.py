"""The base of every part of a spec or status, and the types that several kinds share."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError

from tuneloop_contracts.durations import DURATION_PATTERN, MAX_DURATION
from tuneloop_contracts.model import Wire
from tuneloop_contracts.names import AUTO, MAX_NAME, REVISION_PATTERN
from tuneloop_contracts.stores import URI_PATTERN

Rule = dict[str, str]
"""One CEL rule of the CRD: `rule` and the `message` that people read."""


class InvalidSpec(ValueError):
    """The object must be edited; every fault by its path."""


class Model(Wire):
    """A part of a custom resource; its docstrings are what `kubectl explain` shows.

    Fields that this version does not know are ignored: the API server has refused those that nobody knows, and after a downgrade
    the fields of a newer version must not make every object unreadable.
    """

    @classmethod
    def parse(cls, raw: Mapping[str, Any], path: str = "spec") -> Self:
        """Raises InvalidSpec naming every path at fault."""
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            faults = [f"{'.'.join([path, *map(str, fault['loc'])])}: {fault['msg']}" for fault in error.errors()]
            raise InvalidSpec("; ".join(faults)) from None


def validations(*rules: Rule) -> dict[str, Any]:
    """For `json_schema_extra`: CEL rules of a model or field."""
    return {"x-kubernetes-validations": list(rules)}


def immutable(what: str) -> Rule:
    return {"rule": "self == oldSelf", "message": f"{what} cannot be changed; make a new object"}


DNS_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"

NAME_RULE: Rule = {
    "rule": f"size(self.metadata.name) <= {MAX_NAME}",
    "message": f"metadata.name may have at most {MAX_NAME} characters: the names of Jobs and pods are made from it",
}
ADAPTER_NAME_RULE: Rule = {
    "rule": "size(self.metadata.name) <= 100",
    "message": "metadata.name may have at most 100 characters",
}
"""Longer than others': a job names its LoRAAdapters `<target>-<domain>`, and nothing is named after them."""

DOMAIN_NAME_RULES: tuple[Rule, ...] = (
    {"rule": f"self != '{AUTO}'", "message": f"no domain may be named {AUTO}: it is the model name that routes by content"},
    {
        "rule": f"!self.matches('{REVISION_PATTERN}')",
        "message": "no domain may be named like a revision, <name>-v<number>-<8 hexadecimal digits>: clients ask for both by name",
    },
)
"""Of a string that names a domain."""

_DURATION_RULE: Rule = {
    "rule": f"self.matches('{DURATION_PATTERN}') && self.matches('[1-9]')",
    "message": "must be a duration above 0, such as 30d, 12h or 1h30m",
}
Duration = Annotated[str, Field(min_length=2, max_length=MAX_DURATION, json_schema_extra=validations(_DURATION_RULE))]
"""A Go-style duration, days allowed."""

NO_WAY_UP: Rule = {"rule": "!self.matches('/[.][.](/|$)')", "message": "uri may not hold .. as a part of its path"}
StoreUri = Annotated[str, Field(max_length=512, pattern=URI_PATTERN, json_schema_extra=validations(NO_WAY_UP))]
Digest = Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class NameRef(Model):
    """A reference to an object of the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_NAME)]
    """Name of the object, in the same namespace."""
