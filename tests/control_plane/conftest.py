"""One control plane for all the tests of this folder, with our CRDs; a namespace of its own for each test."""

import itertools
from collections.abc import Iterator

import pytest

from control_plane.harness import Operator, Scene, scene, until
from control_plane.process import ROOT, ControlPlane, control_plane

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    with control_plane(ROOT / "crds") as running:
        yield running


@pytest.fixture
def namespace(plane: ControlPlane) -> Iterator[str]:
    name = f"test-{next(_numbers)}"
    with plane.api() as api:
        assert api.post("/api/v1/namespaces", json={"metadata": {"name": name}}).status_code == 201
        until(lambda: api.get(f"/api/v1/namespaces/{name}/serviceaccounts/default").status_code == 200)
        yield name
        api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def operator(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """One operator for all; a test that kills it starts it again."""
    running = Operator(plane, tmp_path_factory.mktemp("operator") / "log")
    running.start()
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture
def stage(plane: ControlPlane, namespace: str) -> Iterator[Scene]:
    with scene(plane, namespace) as running:
        yield running


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failure shows what the operator said."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    running = getattr(item, "funcargs", {}).get("operator")
    if report.failed and isinstance(running, Operator):
        report.sections.append(("operator", running.log()[-6000:]))
