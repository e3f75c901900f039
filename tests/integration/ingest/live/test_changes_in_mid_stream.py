"""A stream that becomes another one under way: its size, its codec, its programme."""

import contextlib
import gc
import http.server
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from ingest.live.frames import LiveFrame, StateEvent
from ingest.live.opening.patience import Patience
from ingest.live.opening.source import source_of
from ingest.live.session import LiveSession
from tests import descriptors, stream_servers
from unmask.settings import Settings

pytestmark = pytest.mark.slow

SMALL, LARGE = 96, 160
FIRST_S, SECOND_S = 3, 12
PATIENCE = Patience(connect_s=60.0, stall_s=2.0, lost_s=3.0, give_up_s=3.0)
Served = AbstractContextManager[str]


def part(path: Path, codec: str, *more: str, second: bool = False) -> Path:
    """A test picture: small, or as the second part of a stream, large."""
    size, seconds = (LARGE, SECOND_S) if second else (SMALL, FIRST_S)
    made = f"testsrc2=s={size}x{size}:r=25:d={seconds}"
    shift = str(FIRST_S if second else 0)
    subprocess.run(
        [stream_servers.ffmpeg(), "-loglevel", "error", "-f", "lavfi", "-i", made,
         "-c:v", codec, "-preset", "ultrafast", "-g", "25", "-bf", "0", "-pix_fmt", "yuv420p",
         "-output_ts_offset", shift, *more, str(path)],
        check=True,
    )  # fmt: skip
    return path


@contextmanager
def broadcast(first: Path, second: Path) -> Iterator[str]:
    """MPEG-TS over TCP as time goes on, from the first viewer's coming; who is away misses it."""
    stopping = threading.Event()

    def send(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        began = time.monotonic()
        sent = 0.0
        for path, seconds in ((first, FIRST_S), (second, SECOND_S)):
            data = path.read_bytes()
            steps = seconds * 25
            for step in range(steps):
                if stopping.wait(max(0.0, began + sent - time.monotonic())):
                    break
                sent += 1 / 25
                with contextlib.suppress(OSError):
                    listening.settimeout(0.001)
                    another = listening.accept()[0]
                    connection.close()
                    connection = another
                with contextlib.suppress(OSError):
                    packets = len(data) // 188
                    here, there = packets * step // steps, packets * (step + 1) // steps
                    connection.sendall(data[188 * here : 188 * there])
        connection.close()
        listening.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=send, args=(listening,), daemon=True)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            stopping.set()
            thread.join(60)


def another_programme(folder: Path) -> Served:
    """H.264, then HEVC as another elementary stream: the one that is followed falls silent."""
    first = part(folder / "1.ts", "libx264")
    return broadcast(
        first, part(folder / "2.ts", "libx265", "-mpegts_start_pid", "300", second=True)
    )


def another_codec(folder: Path) -> Served:
    """H.264, then HEVC under the same number: FFmpeg goes on calling it H.264."""
    first = part(folder / "1.ts", "libx264")
    return broadcast(first, part(folder / "2.ts", "libx265", second=True))


@contextmanager
def another_size(folder: Path) -> Iterator[str]:
    """RTMP, whose publisher changes the size of the picture: the new headers come beside a packet."""
    first = part(folder / "1.flv", "libx264")
    second = part(folder / "2.flv", "libx264", second=True)
    clip = folder / "clip.flv"
    clip.write_bytes(first.read_bytes() + second.read_bytes()[13:])
    with stream_servers.rtmp(clip) as (url, _):
        yield url


@contextmanager
def another_segment(folder: Path) -> Iterator[str]:
    """A playlist with a discontinuity, from H.264 to HEVC."""
    part(folder / "1.ts", "libx264")
    part(folder / "2.ts", "libx265", second=True)
    (folder / "live.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:{SECOND_S}\n#EXTINF:{FIRST_S},\n1.ts\n"
        f"#EXT-X-DISCONTINUITY\n#EXTINF:{SECOND_S},\n2.ts\n#EXT-X-ENDLIST\n"
    )
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/live.m3u8"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "served", [another_programme, another_codec, another_size, another_segment]
)
def test_frames_come_before_and_after_the_change_and_nothing_is_left(
    served: Callable[[Path], Served], tmp_path: Path
) -> None:
    descriptors.alone(follow, served, tmp_path)


def follow(served: Callable[[Path], Served], folder: Path) -> None:
    """From beginning to end."""
    this = psutil.Process()
    before, children = descriptors.held(), set(this.children(recursive=True))
    frames: list[tuple[int, int]] = []
    states: list[StateEvent] = []

    def keep(frame: LiveFrame) -> None:
        frames.append((frame.pts_ms, frame.rgb.shape[0]))

    with served(folder) as address:
        place = address.split("/")[2]
        settings = Settings(decode_memory_bytes=2 << 30, fetch_private=(place,))
        source = source_of(address, settings)
        with LiveSession(
            source, settings, every_ms=200, on_frame=keep, on_state=states.append, patience=PATIENCE
        ) as session:
            assert session.finished.wait(120), states
    assert states[-1].state.value == "ended", states
    sizes = [size for _, size in frames]
    assert sizes == sorted(sizes) and {SMALL, LARGE} == set(sizes)
    # Stream time goes on over the change: what is told of it is as long as it was.
    last = frames[-1][0] / 1000
    assert abs(last - (FIRST_S + SECOND_S)) < 3, last
    if served in (another_size, another_segment):  # the others take a new connection
        assert len(frames) >= 4 * (FIRST_S + SECOND_S)
    ends = time.monotonic() + 60
    while (left := set(this.children(recursive=True)) - children) or descriptors.more_than(before):
        gc.collect()  # a socket may hang on nothing but a traceback's knot
        more = descriptors.more_than(before)
        assert time.monotonic() < ends, (left, more, before, descriptors.threads())
        time.sleep(0.1)
