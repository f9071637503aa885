"""The layout traps: each of these would shadow the standard library or one of our packages, and fail far from its cause."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "contracts": {"tuneloop_contracts", "tuneloop_vectors"},
    "operator": {"tuneloop_operator"},
    "trainer_image": {"tuneloop_trainer"},
    "server_image": {"tuneloop_server"},
    "demo": {"tuneloop_demo"},
}


def mapped(init: Path) -> set[str]:
    """The names in a package's docstring that stand before two spaces and what they are; a line of folders alone counts too."""
    lines = (ast.get_docstring(ast.parse(init.read_text())) or "").splitlines()[1:]
    found = (re.match(r" *([\w/]+(?: [\w/]+)*)(?:(?<=/)$| {2,}\S)", line) for line in lines)
    return {name for match in found if match for name in match[1].replace("/", " ").split()}


@pytest.mark.parametrize("folder", PACKAGES)
def test_holds_its_packages_and_no_loose_module(folder: str) -> None:
    assert not list((ROOT / folder).glob("*.py"))
    assert {path.parent.name for path in (ROOT / folder).glob("*/__init__.py")} == PACKAGES[folder]


def test_tests_are_a_namespace() -> None:
    assert list((ROOT / "tests").rglob("test_*.py"))
    assert not list((ROOT / "tests").rglob("__init__.py"))
    assert not {path.name for path in (ROOT / "tests").rglob("*") if path.is_dir()} & (set().union(*PACKAGES.values()) | {"operator"})


MAPS = sorted(init for folder in PACKAGES for init in (ROOT / folder).rglob("__init__.py") if mapped(init))


@pytest.mark.parametrize("init", MAPS, ids=lambda init: str(init.parent.relative_to(ROOT)))
def test_a_packages_map_names_each_of_its_modules(init: Path) -> None:
    modules = {path.stem for path in init.parent.glob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in init.parent.glob("*/__init__.py")}
    assert modules | packages <= mapped(init)
    assert mapped(init) <= modules | packages | {"__main__"} | {path.name for path in init.parent.iterdir() if path.is_dir()}
