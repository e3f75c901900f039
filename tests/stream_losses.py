"""A source that is lost in every way a test can think of, and how soon its frames are back.

By hand, a hundred losses: python -m tests.stream_losses 100
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ingest.live.frames import LiveFrame, StateEvent
from ingest.live.opening.patience import Patience
from ingest.live.opening.source import source_of
from ingest.live.session import LiveSession
from tests import descriptors
from tests.stream_servers import ffmpeg, free_port
from unmask.settings import Settings

KINDS = ("killed", "garbage", "silent", "paused", "reader", "decoder", "ended")
PATIENCE = Patience(stall_s=1.0, lost_s=4.0, give_up_s=120.0)


class Server:
    """Serves the clip over and over, to one client at a time; starts anew when it loses one."""

    def __init__(self, clip: Path) -> None:
        self.port = free_port()
        self.url = f"rtmp://127.0.0.1:{self.port}/live/clip"
        self._clip = clip
        self._up = threading.Event()
        self._ended = False
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._up.set()
        self._thread.start()

    def _run(self) -> None:
        while not self._ended:
            if not self._up.wait(0.05):
                continue
            with self._starting:  # or one starts that nobody ends
                if self._ended or not self._up.is_set():
                    continue
                self._process = subprocess.Popen(
                    [ffmpeg(), "-nostdin", "-loglevel", "quiet", "-re", "-stream_loop", "-1", "-i",
                     str(self._clip), "-an", "-c", "copy", "-f", "flv", "-listen", "1", self.url],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )  # fmt: skip
            self._process.wait()

    def signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def down(self) -> None:
        with self._starting:
            self._up.clear()
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def end(self) -> None:
        """End the stream as a publisher does; it begins anew at once."""
        ending = self._process
        if ending is not None:
            ending.send_signal(signal.SIGTERM)
            ending.wait()

    def up(self) -> None:
        self._up.set()

    def close(self) -> None:
        self._ended = True
        self.down()
        self._thread.join(30)


@dataclass
class Losses:
    """What came of it."""

    back_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By kind of loss: seconds from the source's return to the next frame."""
    indices: list[int] = field(default_factory=list)
    """Of every frame."""
    states: list[StateEvent] = field(default_factory=list)
    left_processes: tuple[str, ...] = ()
    """Their command lines."""
    left_descriptors: dict[int, str] = field(default_factory=dict)


def _answering(port: int, kind: str, seconds: float) -> None:
    """In the server's place: garbage, or nothing, for a while."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        listening.settimeout(0.1)
        ends = time.monotonic() + seconds
        held = []
        while time.monotonic() < ends:
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                held.append(connection)
                if kind == "garbage":
                    connection.sendall(random.Random(7).randbytes(1 << 16))
        for connection in held:
            connection.close()


def _lose(kind: str, server: Server, session: LiveSession) -> float:
    """Lose the source; the moment from which it is there again."""
    if kind in ("garbage", "silent"):
        server.down()
        with contextlib.suppress(OSError):  # the port may linger
            _answering(server.port, kind, 1.0)
        server.up()
    elif kind == "paused":
        server.signal(signal.SIGSTOP)
        time.sleep(2.0)
        server.signal(signal.SIGCONT)
    elif kind == "killed":
        server.down()
        time.sleep(1.0)
        server.up()
    elif kind == "ended":
        server.end()
    else:
        pids = session.pids
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(pids[0 if kind == "reader" else -1], signal.SIGKILL)
    return time.monotonic()


def lose_often(clip: Path, count: int, *, patience_s: float = 60.0) -> Losses:
    """Lose the source `count` times. Raises TimeoutError where a frame is not back in time."""
    found = Losses()
    this = psutil.Process()
    before, children = descriptors.held(), set(this.children(recursive=True))
    frames = threading.Condition()
    times: list[float] = []

    def on_frame(frame: LiveFrame) -> None:
        found.indices.append(frame.index)
        with frames:
            times.append(time.monotonic())
            frames.notify_all()

    def wait(since: float) -> float:
        with frames:
            if not frames.wait_for(lambda: bool(times) and times[-1] > since, patience_s):
                raise TimeoutError(f"no frame within {patience_s:.0f} s")
            return next(t for t in times if t > since)

    server = Server(clip)
    try:
        settings = Settings(decode_memory_bytes=2 << 30)
        with LiveSession(
            source_of(server.url, settings), settings, every_ms=100, on_frame=on_frame,
            on_state=found.states.append, patience=PATIENCE,
        ) as session:  # fmt: skip
            wait(0.0)
            for number in range(count):
                kind = KINDS[number % len(KINDS)]
                back = _lose(kind, server, session)
                # What was in the decoder at the loss is no return: the frame after next is.
                second = wait(wait(back + 0.3))
                found.back_s[kind].append(second - back)
                del times[:-1]
    finally:
        server.close()
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        found.left_processes = _shown(set(this.children(recursive=True)) - children)
        found.left_descriptors = descriptors.more_than(before)
        if not found.left_processes and not found.left_descriptors:
            break
        time.sleep(0.1)
    return found


def _shown(processes: set[psutil.Process]) -> tuple[str, ...]:
    shown = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            shown.append(" ".join(process.cmdline()) or process.name())
    return tuple(shown)


def main() -> None:
    """Print a table."""
    from tests.integration.workers.live.watching import clip

    count = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        found = lose_often(clip(Path(folder) / "clip.mp4", 20), count)
    print(f"{count} losses in {time.monotonic() - began:.0f} s")
    for kind, seconds in found.back_s.items():
        ordered = sorted(seconds)
        print(f"{kind:10} n={len(ordered):3}  median {ordered[len(ordered) // 2]:5.2f} s  "
              f"worst {ordered[-1]:5.2f} s")  # fmt: skip
    print(f"left: {len(found.left_processes)} processes, {len(found.left_descriptors)} descriptors")


if __name__ == "__main__":
    main()
