"""The process that owns a stream's socket: `python -m ingest.live.reader SOCKET`. It decodes nothing.

It takes the source apart into packets and sends them on. It cannot write a file, and it dies with
its parent, who ends it when nothing comes.
"""

import os
import shutil
import socket
import subprocess
import sys
from typing import Any

from ingest.live.wire import Wire, WireBroken
from ingest.sandbox.confine import confine
from unmask.errors import UnmaskError

_MAX_PAYLOAD = 1 << 20
_MEMORY = 2 << 30
#: By the names of Python's and FFmpeg's errors, which this process may not import yet.
_FAULTS = {
    "ConnectionRefusedError": "nothing listens there.",
    "ConnectionResetError": "the source broke the connection off.",
    "BrokenPipeError": "the source broke the connection off.",
    "ExitError": "the source does not answer.",
    "TimeoutError": "the source does not answer.",
    "OSError": "the host cannot be reached, or the connection broke.",
    "InvalidDataError": "what the source sends is not what its address says.",
    "HTTPUnauthorizedError": "the source wants a user and a password: scheme://USER:PASSWORD@HOST.",
    "HTTPForbiddenError": "the source does not let this user in.",
    "HTTPNotFoundError": "the source has no stream of that name.",
}


def main() -> None:
    """Read as the first message says; every outcome goes through the socket in argv[1]."""
    wire = Wire(socket.socket(fileno=int(sys.argv[1])), _MAX_PAYLOAD)
    try:
        job, _ = wire.receive()
        # SRT's child needs to be started; it is confined by this process's own limits.
        confine(_MEMORY, cpu_seconds=None, offline=False, may_start=job["form"] == "srt")
        _read(job, wire)
        wire.send({"kind": "ended"})
    except WireBroken:
        sys.exit(1)
    except UnmaskError as error:
        _fail(wire, error.code.value, str(error))
    except Exception as error:
        # FFmpeg's words may quote the address, and a password in it: the kind alone is told.
        kind = type(error).__name__
        _fail(wire, "fetch_failed", _FAULTS.get(kind, f"the source failed ({kind})."))


def _fail(wire: Wire, code: str, message: str) -> None:
    try:
        wire.send({"kind": "failed", "code": code, "message": message[:500]})
    except WireBroken:
        sys.exit(1)


def _read(job: dict[str, Any], wire: Wire) -> None:
    # Inside: these bring FFmpeg with them, after the locks.
    import av.logging  # noqa: PLC0415

    from ingest.fetching.addresses import Allowance  # noqa: PLC0415
    from ingest.live.opening.demux import Pacer, PacketSender, first_video, open_address, open_file  # noqa: PLC0415
    from ingest.live.opening.hls import Hls  # noqa: PLC0415

    av.logging.set_level(av.logging.PANIC)
    form, address = job["form"], job["address"]
    if form == "hls":
        allowance = Allowance(**{k: tuple(v) for k, v in job["allowance"].items()})
        Hls(address, allowance, job["proxy"]).run(wire, PacketSender(wire, Pacer()))
        return
    pacer = None
    if form == "file":
        media = open_file(os.fdopen(job["media"], "rb"), job["container"])
        pacer = Pacer()
    elif form == "srt":
        media = open_file(_srt(address), "mpegts")
    else:
        media = open_address(address, form, job["options"], job["wait_s"])
    with media:
        stream = first_video(media)
        if stream is None:
            _fail(wire, "no_video_stream", "the source holds no video.")
            return
        PacketSender(wire, pacer).send_all(media, stream)


def _srt(address: str) -> Any:
    """The output of an ffmpeg that speaks SRT and copies, times kept."""
    ffmpeg = shutil.which(os.environ.get("UNMASK_FFMPEG", "ffmpeg"))
    if ffmpeg is None:
        raise UnmaskError("SRT needs an ffmpeg that speaks it.", fix="Install ffmpeg.")
    child = subprocess.Popen(
        [
            ffmpeg, "-nostdin", "-loglevel", "quiet", "-protocol_whitelist", "srt",
            "-probesize", "500000", "-analyzeduration", "1500000",
            "-f", "mpegts", "-i", address,
            "-map", "0:v:0", "-c", "copy", "-copyts", "-f", "mpegts", "pipe:1",
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return child.stdout


if __name__ == "__main__":
    main()
