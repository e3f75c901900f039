"""A real Redis, and the brightness plugin installed as any third party's is."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from redis import Redis

from tests.fakes import install_brightness
from tests.integration.workers.crew import Crew
from unmask.settings import Settings
from unmask.system import logs
from workers.broker.embedded import EmbeddedRedis


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """As every process of ours logs; structlog's default prints every local variable."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    logs.configure(Settings(log="human"))
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = before


@pytest.fixture
def redis_url() -> Iterator[str]:
    with EmbeddedRedis() as server:
        yield server.url


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    client.close()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path of this process that holds the installed brightness plugin."""
    folder = tmp_path / "site"
    folder.mkdir()
    install_brightness(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return folder


@pytest.fixture
def crew(tmp_path: Path, site: Path, settings: Settings) -> Iterator[Crew]:
    """Roles as processes of their own, under the test module's settings."""
    from workers.run.supervisor import environment

    spelled = {k: v for k, v in environment(settings).items() if k.startswith("UNMASK_")}
    made = Crew(tmp_path, site, spelled)
    yield made
    made.stop()
