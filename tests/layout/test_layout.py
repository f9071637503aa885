"""The layout traps: each of these would shadow the standard library or one of our packages, and fail far from its cause."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"tuneloop_contracts", "tuneloop_operator", "tuneloop_trainer", "tuneloop_server", "tuneloop_demo"}


@pytest.mark.parametrize("folder", ["contracts", "operator", "trainer_image", "server_image", "demo"])
def test_holds_one_package_and_no_loose_module(folder: str) -> None:
    assert not list((ROOT / folder).glob("*.py"))
    packages = {path.parent.name for path in (ROOT / folder).glob("*/__init__.py")}
    assert len(packages) == 1
    assert packages <= PACKAGES


def test_tests_are_a_namespace() -> None:
    assert list((ROOT / "tests").rglob("test_*.py"))
    assert not list((ROOT / "tests").rglob("__init__.py"))
    assert not {path.name for path in (ROOT / "tests").rglob("*") if path.is_dir()} & (PACKAGES | {"operator"})


def test_the_readme_names_only_targets_that_exist() -> None:
    targets = {line.split(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if line[:1].isalpha() and ":" in line}
    benches = {f"bench-{path.stem.replace('_', '-')}" for path in (ROOT / "benchmarks").glob("*.py")}
    readme = (ROOT / "README.md").read_text()
    assert set(re.findall(r"`make ([a-z-]+)`", readme)) <= targets | benches
