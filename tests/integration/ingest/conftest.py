"""A real Redis of its own for every test."""

from collections.abc import Iterator

import pytest
from redis import Redis

from workers.broker.embedded import EmbeddedRedis


@pytest.fixture(scope="session")
def _server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def redis(_server: EmbeddedRedis) -> Iterator["Redis"]:
    client = Redis.from_url(_server.url)
    client.flushall()
    yield client
    client.close()
