"""The private Redis is real, private, and never outlives the process that started it."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from redis import Redis

from unmask.errors import BrokerError
from unmask.settings import Settings
from workers.broker.connect import check, connect
from workers.broker.embedded import EmbeddedRedis

_HOLDER = """
import sys, time
from workers.broker.embedded import EmbeddedRedis
server = EmbeddedRedis()
print(server.url, flush=True)
time.sleep(600)
"""


def socket_path(url: str) -> Path:
    return Path(url.removeprefix("unix://"))


def gone_within(seconds: float, path: Path) -> bool:
    deadline = time.monotonic() + seconds
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not path.exists()


def servers(folder: Path) -> list[int]:
    psutil.process_iter.cache_clear()  # a process that has another's old number has its name there
    return [
        p.pid
        for p in psutil.process_iter(["name", "cwd"])
        if p.info["name"] == "redis-server" and p.info["cwd"] == str(folder)
    ]


def test_without_a_url_a_private_server_runs_as_long_as_the_block() -> None:
    with connect(Settings(redis_url=None)) as broker:
        path = socket_path(broker.url)
        assert broker.embedded
        assert broker.redis.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert broker.redis.config_get("port")["port"] == "0"
        other = Redis.from_url(broker.url)
        other.set("a", "1")
        assert broker.redis.get("a") == b"1"
        other.close()
    assert not path.parent.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_process_leaves_no_server_behind(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as holder:
        assert holder.stdout is not None
        path = socket_path(holder.stdout.readline().decode().strip())
        started = servers(path.parent)
        os.kill(holder.pid, number)
        holder.wait()
    assert started
    assert gone_within(60, path.parent)
    assert not servers(path.parent)


def test_a_long_temporary_directory_does_not_stop_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 110)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with EmbeddedRedis() as server:
        assert Redis.from_url(server.url).ping()


def test_a_server_of_ones_own_without_an_append_only_file_is_warned_about_and_one_that_evicts_refused(
    tmp_path: Path,
) -> None:
    with EmbeddedRedis() as server:
        own = tmp_path / "redis.sock"
        own.symlink_to(socket_path(server.url))
        url = f"unix://{own}"
        assert "appendonly" in check(url).warnings[0]
        assert check(server.url).warnings == ()
        client = Redis.from_url(url)
        client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(BrokerError, match="noeviction"):
            check(url)
        client.close()


def test_a_server_that_is_not_there_names_the_fix_and_hides_the_password() -> None:
    with pytest.raises(BrokerError) as caught:
        check("redis://:secret@127.0.0.1:1/0")
    assert "UNMASK_REDIS_URL" in caught.value.fix
    assert "secret" not in str(caught.value)
