"""The real base: its outline for tests that do not need weights, a server process for those that do; and a server with a tiny model
for tests of what stands around it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders_adapters import base_folder, digest_of_base
from redisserver import RedisServer
from serverprocess import ServerProcess
from tinymodel import TENANT_CONCURRENCY, TINY, make_tiny_model
from tuneloop_server.engine.base import BaseFacts

KEYS = {"key-a": "acme", "key-b": "bigco"}


@pytest.fixture(scope="session")
def facts() -> BaseFacts:
    """Digest and layers of the real base, as the engine reports them."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from tuneloop_server.engine.loading import linears

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base_folder()))
    return BaseFacts(digest_of_base(), 8192, linears(model), "the outline")


@pytest.fixture(scope="session")
def _server_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One model load for all tests that do not stop the server."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    keys.write_text(json.dumps(KEYS))
    redis = RedisServer()
    settings = {"REDIS_URL": redis.url, "API_KEYS_FILE": str(keys), "MAX_NEW_TOKENS": "64"}
    try:
        redis.start()
        with ServerProcess(tmp_path_factory.mktemp("server"), **settings) as server:
            server.redis = redis
            yield server.start()
    finally:
        redis.stop()


@pytest.fixture
def server(_server_of_session: ServerProcess) -> Iterator[ServerProcess]:
    """The server of the session, without adapters, and with an empty Redis."""
    _server_of_session.forget_everything()
    yield _server_of_session
    _server_of_session.check_alive()


@pytest.fixture(scope="session")
def _tiny_server_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "keys.json").write_text(json.dumps(KEYS))
    redis = RedisServer()
    settings = {
        "MODEL_PATH": str(make_tiny_model(folder / "model")), "MODEL_NAME": TINY, "MAX_NEW_TOKENS": "48", "OMP_NUM_THREADS": "1",
        "REDIS_URL": redis.url, "API_KEYS_FILE": str(folder / "keys.json"), "TENANT_CONCURRENCY": str(TENANT_CONCURRENCY),
    }  # fmt: skip
    try:
        redis.start()
        with ServerProcess(folder, **settings) as server:
            yield server.start()
    finally:
        redis.stop()


@pytest.fixture
def tiny_server(_tiny_server_of_session: ServerProcess) -> Iterator[ServerProcess]:
    """A server process whose two random layers answer at once, with nonsense. One for all tests that do not stop it."""
    yield _tiny_server_of_session
    _tiny_server_of_session.check_alive()


@pytest.fixture
def adapters(tmp_path: Path) -> Path:
    """Where a test writes its adapters."""
    folder = tmp_path / "adapters"
    folder.mkdir()
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tiny matrices only suffer from several."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
