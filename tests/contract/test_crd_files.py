"""crds/*.yaml are what the models say, and every field of them is described."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tuneloop_operator.api.crd import DEFINITIONS, Definition, crd, render
from tuneloop_operator.api.kinds import FINE_TUNE_JOBS

CRDS = Path(__file__).parents[2] / "crds"


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda d: d.kind.name)
def test_the_file_is_what_make_crds_would_write(definition: Definition) -> None:
    assert (CRDS / f"{definition.kind.plural}.yaml").read_text(encoding="utf-8") == render(definition), "run `make crds`"


def test_there_is_no_file_without_a_model() -> None:
    assert {file.stem for file in CRDS.glob("*.yaml")} == {definition.kind.plural for definition in DEFINITIONS}


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda d: d.kind.name)
def test_every_field_is_described(definition: Definition) -> None:
    schema = yaml.safe_load(render(definition))["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    bare = [path for path, field in fields(schema, "") if not field.get("description") and path != ".metadata"]
    assert bare == []


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda d: d.kind.name)
def test_what_the_operators_settings_decide_has_no_default(definition: Definition) -> None:
    schema = crd(definition)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    decided = {"window", "minExamplesPerDomain", "rank", "alpha", "epochs", "learningRate"}
    named = [(path, field) for path, field in fields(schema, "") if path.startswith(".spec") and path.rsplit(".", 1)[-1] in decided]
    assert all("default" not in field for _, field in named)
    assert len(named) == (len(decided) if definition.kind == FINE_TUNE_JOBS else 0)


def fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from fields(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from fields(schema[key], path)
