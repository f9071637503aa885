"""The layout traps: each of these would shadow the standard library or one of our packages, and fail far from its cause."""

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


@pytest.mark.parametrize("folder", PACKAGES)
def test_holds_its_packages_and_no_loose_module(folder: str) -> None:
    assert not list((ROOT / folder).glob("*.py"))
    assert {path.parent.name for path in (ROOT / folder).glob("*/__init__.py")} == PACKAGES[folder]


def test_tests_are_a_namespace() -> None:
    assert list((ROOT / "tests").rglob("test_*.py"))
    assert not list((ROOT / "tests").rglob("__init__.py"))
    assert not {path.name for path in (ROOT / "tests").rglob("*") if path.is_dir()} & (set().union(*PACKAGES.values()) | {"operator"})


def test_the_readme_names_only_targets_that_exist() -> None:
    targets = {line.split(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if line[:1].isalpha() and ":" in line}
    benches = {f"bench-{path.stem.replace('_', '-')}" for path in (ROOT / "benchmarks").glob("*.py")}
    readme = (ROOT / "README.md").read_text()
    assert set(re.findall(r"`make ([a-z-]+)`", readme)) <= targets | benches
