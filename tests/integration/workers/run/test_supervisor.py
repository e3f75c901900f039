"""The crew of `unmask serve`: started again when killed, gone when its parent is gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from redis import Redis

from tests.fakes import KEY
from unmask import queues
from unmask.errors import ConfigError
from unmask.settings import Settings
from workers.run import rq_worker, supervisor
from workers.run.roles import run_role
from workers.run.supervisor import Supervisor, environment

_REPOSITORY = str(Path(__file__).resolve().parents[4])
_PARENT = """
import sys, time
from unmask.settings import Settings
from workers.run import rq_worker, supervisor
from workers.run.supervisor import Supervisor
with Supervisor(Settings(), ingest=1, score=0, verdict=0) as crew:
    print(crew.children[0].process.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return Settings(
        redis_url=redis_url,
        database_url=None,
        data_dir=tmp_path / "data",
        plugins=(KEY,),
        weights_dir=None,
        media_roots=(tmp_path / "a b",),
        log="json",
    )


def serving(redis: Redis) -> list[bytes]:
    """The signs of life of scoring processes; never an empty list."""
    return list(redis.keys(queues.serving("*"))) or [b"none"]


def wait_for(what: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.05)


def test_children_are_given_exactly_these_settings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    spelled = environment(settings)
    for name in [name for name in os.environ if name.startswith("UNMASK_")]:
        monkeypatch.delenv(name)
    for name, value in spelled.items():
        if name.startswith("UNMASK_"):
            monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_a_role_without_a_shared_redis_names_the_fix(settings: Settings) -> None:
    alone = settings.model_copy(update={"redis_url": None})
    for role in ("ingest", "score", "verdict"):
        with pytest.raises(ConfigError, match="UNMASK_REDIS_URL"):
            run_role(role, alone)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_killed_scoring_process_is_started_again_and_all_stop_with_the_block(
    settings: Settings, redis: Redis, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), _REPOSITORY]))
    with Supervisor(settings, ingest=0, score=1, verdict=0) as crew:
        child = crew.children[0]
        first = child.process
        assert first is not None
        wait_for(lambda: redis.exists(*serving(redis)))
        assert crew.alive() == {"ingest": 0, "score": 1, "verdict": 0, "stream": 0}
        redis.delete(*serving(redis))
        os.kill(first.pid, signal.SIGKILL)
        wait_for(lambda: redis.exists(*serving(redis)))
        second = child.process
        assert second is not None and second.pid != first.pid
        assert child.restarts == 1
    assert second.returncode == 0, "told to stop, it finishes and ends well"


@pytest.mark.slow
def test_a_killed_parent_takes_its_workers_with_it(settings: Settings, site: Path) -> None:
    paths = {"PYTHONPATH": os.pathsep.join([str(site), _REPOSITORY])}
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT],
        env={**environment(settings), **paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_role_is_given_longer_than_it_takes_to_finish_the_job_in_hand() -> None:
    assert supervisor._STOP_S > rq_worker.DRAIN_S
