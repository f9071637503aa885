"""CRDs from the models: `python -m tuneloop_operator.api.crd crds/` writes one file a kind.

pydantic writes JSON Schema; the API server wants a *structural* schema: no $ref, no null, no additionalProperties: false,
bounds in the style of JSON Schema 4. https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from tuneloop_operator.api.finetunejob import PODS_NAME_RULE, FineTuneJobSpec, FineTuneJobStatus
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec, InferenceTargetStatus
from tuneloop_operator.api.kinds import ADAPTERS, FINE_TUNE_JOBS, TARGETS, Kind
from tuneloop_operator.api.loraadapter import LoRAAdapterSpec, LoRAAdapterStatus
from tuneloop_operator.api.model import ADAPTER_NAME_RULE, NAME_RULE, Model, Rule

Schema = dict[str, Any]

UNKNOWN = {
    "conditions": [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "Pending",
            "message": "The operator has not looked at this yet",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }
    ]
}
"""Default of status: without it, an object that no operator has seen reads as healthy to Helm and Flux."""


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False
    """Only with `-o wide`."""


@dataclass(frozen=True)
class Definition:
    """A kind, and all of it that is not in its models."""

    kind: Kind
    short: str
    about: str
    spec: type[Model]
    status: type[Model]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = (NAME_RULE,)


AGE = Column("Age", ".metadata.creationTimestamp", "date")
READY = Column("Ready", '.status.conditions[?(@.type=="Ready")].status')
REASON = Column("Reason", '.status.conditions[?(@.type=="Ready")].reason')

DEFINITIONS = (
    Definition(
        TARGETS, "itgt",
        "One inference Deployment and all that belongs to it: base model, Redis, stores, domains.",
        InferenceTargetSpec, InferenceTargetStatus,
        (
            Column("Deployment", ".spec.deploymentRef.name"),
            Column("Model", ".spec.baseModel.name"),
            Column("Pods", ".status.replicas.reporting", "integer"),
            READY,
            REASON,
            AGE,
        ),
    ),
    Definition(
        FINE_TUNE_JOBS, "ftj",
        "One turn of the loop: recorded interactions become a dataset, a dataset becomes adapters, and the better ones are published.",
        FineTuneJobSpec, FineTuneJobStatus,
        (
            Column("Target", ".spec.targetRef.name"),
            Column("Stage", ".status.stage"),
            Column("Progress", ".status.progress.percent", "integer"),
            Column("ETA", ".status.progress.estimatedRemainingSeconds", "integer"),
            Column("Loss", ".status.progress.loss"),
            Column("Adapters", ".status.adapterDomains"),
            AGE,
            replace(REASON, wide=True),
        ),
        (NAME_RULE, PODS_NAME_RULE),
    ),
    Definition(
        ADAPTERS, "lora",
        "An alias on an inference target, and the LoRA weights that should answer it.",
        LoRAAdapterSpec, LoRAAdapterStatus,
        (
            Column("Target", ".spec.targetRef.name"),
            Column("Domain", ".spec.domain"),
            Column("Active", ".status.active"),
            Column("Candidate", ".status.candidate"),
            Column("Weight", ".status.weight", "integer"),
            Column("Loaded", ".status.pods.loaded", "integer"),
            READY,
            AGE,
            replace(REASON, wide=True),
        ),
        (ADAPTER_NAME_RULE,),
    ),
)  # fmt: skip


def crd(definition: Definition) -> Schema:
    """The whole CustomResourceDefinition."""
    kind = definition.kind
    names = {
        "kind": kind.name, "listKind": f"{kind.name}List", "plural": kind.plural, "singular": kind.name.lower(),
        "shortNames": [definition.short], "categories": ["tuneloop"],
    }  # fmt: skip
    version = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": c.name, "type": c.type, "jsonPath": c.path} | ({"priority": 1} if c.wide else {}) for c in definition.columns
        ],
        "schema": {"openAPIV3Schema": root_schema(definition)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {"group": kind.group, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def root_schema(definition: Definition) -> Schema:
    return {
        "type": "object",
        "description": definition.about,
        "required": ["spec"],
        "x-kubernetes-validations": list(definition.rules),
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of this schema."},
            "kind": {"type": "string", "description": "Kind of this object."},
            "metadata": {"type": "object"},
            "spec": structural(definition.spec),
            "status": structural(definition.status) | {"default": UNKNOWN},
        },
    }


def structural(model: type[Model]) -> Schema:
    """The structural schema of a model."""
    raw = model.model_json_schema(by_alias=True)
    converted: Schema = _convert(raw, raw.get("$defs", {}))
    return converted


def _convert(node: Any, definitions: Mapping[str, Schema]) -> Any:
    if isinstance(node, list):
        return [_convert(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    merged = _without_null(_without_ref(node, definitions), definitions)
    if "properties" in merged:
        merged["properties"] = {name: _convert(schema, definitions) for name, schema in merged["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(merged.get(key), dict):
            merged[key] = _convert(merged[key], definitions)
    return _trim(_bounds(merged))


def _without_ref(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """What the $ref names, under what stands beside it: the field's own description wins over the model's."""
    node = dict(node)
    while "$ref" in node:
        target = definitions[node.pop("$ref").rsplit("/", 1)[-1]]
        node = {**target, **node}
    return node


def _without_null(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    if "x-kubernetes-int-or-string" in node or "anyOf" not in node:
        return node
    choices = [choice for choice in node.pop("anyOf") if choice.get("type") != "null"]
    if len(choices) != 1:
        raise TypeError(f"a structural schema has no room for several types: {choices}")
    return _without_null(_without_ref({**choices[0], **node}, definitions), definitions)


def _bounds(node: Schema) -> Schema:
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in node:
            node |= {bound: node[exclusive], exclusive: True}
    if "const" in node:
        node["enum"] = [node.pop("const")]
    return node


def _trim(node: Schema) -> Schema:
    """Drop what is not structural; the default of an object is {}: its fields bring their own."""
    first = {key: node[key] for key in ("type", "description") if key in node}  # the order in which people read it
    node = first | {key: value for key, value in node.items() if key not in ("$defs", "title")}
    if node.get("additionalProperties") is False or node.get("x-kubernetes-preserve-unknown-fields"):
        node.pop("additionalProperties", None)
    if node.get("default", ...) is None:
        del node["default"]
    if "default" in node and "properties" in node:
        node["default"] = {}
    return node


def write(folder: Path) -> list[Path]:
    """One file a kind, named by its plural."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for definition in DEFINITIONS:
        file = folder / f"{definition.kind.plural}.yaml"
        file.write_text(render(definition), encoding="utf-8")
        files.append(file)
    return files


def render(definition: Definition) -> str:
    header = "# Written from the models by `make crds`; edit those.\n"
    return header + yaml.dump(crd(definition), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=140)


class _Plain(yaml.SafeDumper):
    """Without anchors: a CRD is read by people."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


if __name__ == "__main__":
    for written in write(Path(sys.argv[1])):
        print(written)  # the files, for whoever ran `make crds`
