"""Fixtures of general use."""

from collections.abc import Iterator

import pytest
import redis

from redisserver import RedisServer


@pytest.fixture(scope="session")
def _redis_of_session() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(_redis_of_session: RedisServer) -> str:
    """A real redis-server, empty. A test that stops it starts its own: redisserver.RedisServer."""
    with redis.Redis.from_url(_redis_of_session.url) as client:
        client.flushall()
    return _redis_of_session.url
