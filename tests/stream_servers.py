"""Real stream servers on loopback: by an ffmpeg, by rtsp-rs, and by GStreamer's RTSP server."""

import contextlib
import functools
import http.server
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import psutil
import pytest


def ffmpeg() -> str:
    """An ffmpeg that serves. Skips where there is none; in CI that is an error."""
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no ffmpeg to serve streams: {error}")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [ffmpeg(), "-nostdin", "-loglevel", "error", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Until it listens: whoever comes earlier is turned away."""
    deadline = time.monotonic() + 60
    while not any(c.laddr.port == port for c in psutil.Process(process.pid).net_connections()):
        assert process.poll() is None and time.monotonic() < deadline, "no server"
        time.sleep(0.05)


@contextlib.contextmanager
def rtmp(clip: Path, port: int | None = None) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The clip once, in real time, to the one client that comes."""
    port = port or free_port()
    url = f"rtmp://127.0.0.1:{port}/live/clip"
    given = ("-re", "-i", str(clip), "-an", "-c", "copy", "-f", "flv", "-listen", "1", url)
    with _running(*given) as process:
        _wait_for(process, port)
        yield url, process


@contextlib.contextmanager
def srt(clip: Path) -> Iterator[str]:
    """The clip once, in real time."""
    port = free_port(socket.SOCK_DGRAM)
    given = ("-re", "-i", str(clip), "-an", "-c", "copy", "-f", "mpegts")
    with _running(*given, f"srt://127.0.0.1:{port}?mode=listener") as process:
        _wait_for(process, port)
        yield f"srt://127.0.0.1:{port}"


@contextlib.contextmanager
def tcp(clip: Path) -> Iterator[str]:
    """MPEG-TS of the clip once, in real time, to the one client that comes."""
    port = free_port()
    url = f"tcp://127.0.0.1:{port}"
    given = ("-re", "-i", str(clip), "-an", "-c", "copy", "-f", "mpegts", f"{url}?listen=1")
    with _running(*given) as process:
        _wait_for(process, port)
        yield url


@contextlib.contextmanager
def udp(clip: Path, times: int) -> Iterator[str]:
    """MPEG-TS packets of the clip, so many times, in real time, whether anyone listens or not."""
    port = free_port(socket.SOCK_DGRAM)
    given = ("-re", "-stream_loop", str(times - 1), "-i", str(clip), "-an", "-c", "copy")
    with _running(*given, "-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316"):
        yield f"udp://127.0.0.1:{port}"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


@contextlib.contextmanager
def hls(clip: Path, folder: Path, *, live: bool = False) -> Iterator[tuple[str, str]]:
    """The clip as a playlist behind http.server: its address, and host:port.

    `live`: three times, written while it is served, in real time, old segments deleted.
    """
    folder.mkdir()
    kept = "delete_segments+program_date_time" if live else "program_date_time"
    size = "4" if live else "0"
    given = (
        *(("-re", "-stream_loop", "2") if live else ()), "-i", str(clip), "-an", "-c", "copy", "-f", "hls",
        "-hls_time", "1", "-hls_list_size", size, "-hls_flags", kept, str(folder / "live.m3u8"),
    )  # fmt: skip
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = f"127.0.0.1:{server.server_address[1]}"
    try:
        with _running(*given) as process:
            if not live:
                assert process.wait(60) == 0
            deadline = time.monotonic() + 60
            while not (folder / "live.m3u8").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield f"http://{place}/live.m3u8", place
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def rtsp(clip: Path) -> Iterator[str]:
    """The clip once, in real time, over UDP, from when the first viewer comes; then silence."""
    try:
        from rtsp import Server
    except ImportError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no RTSP server: {error}")
    port = free_port()
    server = Server(f"127.0.0.1:{port}")
    server.start()
    stopping = threading.Event()
    sending = threading.Thread(target=_send, args=(server, clip, stopping), daemon=True)
    sending.start()
    try:
        yield f"rtsp://127.0.0.1:{port}/stream"
    finally:
        stopping.set()
        sending.join(30)
        server.stop()


#: By Debian's Python: its bindings are for that one. Over when the viewer has gone.
_GSTREAMER = """
import sys, gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(address="127.0.0.1", service=sys.argv[2])
made = GstRtspServer.RTSPMediaFactory()
made.set_launch(f"( filesrc location={sys.argv[1]} ! qtdemux ! rtph264pay name=pay0 )")
loop = GLib.MainLoop()
made.connect("media-configure", lambda _, media: media.connect("unprepared", lambda _: loop.quit()))
server.get_mount_points().add_factory("/stream", made)
server.attach(None)
loop.run()
"""


@contextlib.contextmanager
def gstreamer_rtsp(clip: Path) -> Iterator[str]:
    """The clip once, in real time, over TCP or UDP, as the viewer likes it."""
    python = "/usr/bin/python3"
    asked = "import gi; gi.require_version('GstRtspServer', '1.0')"
    there = Path(python).exists() and not subprocess.run(
        [python, "-c", asked], check=False, stderr=subprocess.DEVNULL
    ).returncode  # fmt: skip
    if not there:
        why = "no gir1.2-gst-rtsp-server-1.0, python3-gi, gstreamer1.0-plugins-good"
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    port = free_port()
    process = subprocess.Popen([python, "-c", _GSTREAMER, str(clip), str(port)])
    try:
        _wait_for(process, port)
        yield f"rtsp://127.0.0.1:{port}/stream"
    finally:
        process.kill()
        process.wait()


def _send(server: object, clip: Path, stopping: threading.Event) -> None:
    while not stopping.is_set() and not server.get_viewers():  # type: ignore[attr-defined]
        time.sleep(0.02)
    time.sleep(0.3)  # between SETUP and PLAY nobody listens
    with av.open(str(clip)) as media:
        stream = media.streams.video[0]
        to_annex_b = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", stream)
        began, last = time.monotonic(), 0.0
        for packet in media.demux(stream):
            for found in to_annex_b.filter(packet if packet.size else None):
                at = float((found.dts or 0) * found.time_base)
                if stopping.wait(max(0.0, began + at - time.monotonic())):
                    return
                server.send_frame(bytes(found), round((at - last) * 90000))  # type: ignore[attr-defined]
                last = at
