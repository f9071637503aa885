"""One vLLM for all tests, one gateway in front of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from redisserver import RedisServer
from serverprocess import ServerProcess
from vllmprocess import RANK, START_DEADLINE, VllmProcess


@pytest.fixture(scope="session")
def _vllm_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmProcess]:
    vllm = VllmProcess(tmp_path_factory.mktemp("vllm") / "vllm.log")
    vllm.launch()
    yield vllm
    vllm.kill()


@pytest.fixture(scope="session")
def _gateway_of_session(_vllm_of_session: VllmProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Waits for vLLM, as in a pod."""
    folder = tmp_path_factory.mktemp("gateway")
    redis = RedisServer()
    settings = {
        "ENGINE": "vllm", "VLLM_URL": _vllm_of_session.url, "VLLM_ADAPTERS": str(folder / "shared"), "MAX_LORA_RANK": str(RANK),
        "REDIS_URL": redis.url, "MAX_NEW_TOKENS": "64",
    }  # fmt: skip
    try:
        redis.start()
        with ServerProcess(folder, **settings) as gateway:
            gateway.start(wait=False)
            gateway.wait_until(gateway.is_ready, "vLLM and the gateway are ready", START_DEADLINE)
            yield gateway
    finally:
        redis.stop()


@pytest.fixture
def server(_gateway_of_session: ServerProcess) -> Iterator[ServerProcess]:
    """Without adapters, and with an empty Redis."""
    _gateway_of_session.forget_everything()
    yield _gateway_of_session
    _gateway_of_session.check_alive()


@pytest.fixture
def vllm(server: ServerProcess, _vllm_of_session: VllmProcess) -> VllmProcess:
    """The one behind `server`: without adapters."""
    assert _vllm_of_session.adapters() == {}
    return _vllm_of_session


@pytest.fixture
def adapters(tmp_path: Path) -> Path:
    """Where a test writes its adapters."""
    folder = tmp_path / "adapters"
    folder.mkdir()
    return folder
