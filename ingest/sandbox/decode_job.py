"""The decoding process's work: decode.py's events as messages, frames into shared memory."""

import errno
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, BinaryIO, Protocol

import av.logging

from ingest.decoding.decode import Finished, Frame, Limits, Opened, decode
from ingest.decoding.sampling import parse_policy
from ingest.sandbox import encode_job
from unmask.errors import InputError

#: Frames in flight: enough to keep both processes busy, little enough for 8k frames.
_RING_BYTES = 48 << 20
_MAX_SLOTS = 8


#: Of no use to a decoder; the first would run PyAV's command line.
_NOT_NEEDED = {"av.__main__", "av.datasets", "av.device"}


def import_everything() -> None:
    """Import every module of PyAV, which loads many only once a stream of their kind turns up.

    By then no file can be opened any more, and a subtitle track would be the end of the decoder.
    """
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in _NOT_NEEDED:
            importlib.import_module(module.name)


class FrameMemory(Protocol):
    """Where frames go; the parent reads them there."""

    def size(self, slot_bytes: int, slots: int) -> None:
        """Agree on the slots."""

    def put(self, pixels: memoryview) -> None:
        """Fill the next slot."""


def slots_for(frame_bytes: int) -> int:
    """How many frames may wait in shared memory. Both sides compute it.

    >>> slots_for(256 * 256 * 3), slots_for(8192 * 4320 * 3)
    (8, 2)
    """
    return max(2, min(_MAX_SLOTS, _RING_BYTES // frame_bytes))


def run(
    file: BinaryIO,
    job: dict[str, Any],
    say: Callable[[dict[str, object]], None],
    memory: FrameMemory,
) -> None:
    """Decode `file` as `job` says and report through `say`."""
    with _telling(say):
        for event in decode(
            file,
            job["container"],
            parse_policy(job["sample"]),
            Limits(**job["limits"]),
            stream=job["stream"],
            seek=job["seek"],
        ):
            if isinstance(event, Opened):
                say({"kind": "opened", **asdict(event)})
                frame_bytes = event.width * event.height * 3
                memory.size(frame_bytes, slots_for(frame_bytes))
            elif isinstance(event, Frame):
                memory.put(event.rgb.reshape(-1).data)
                say({"kind": "frame", "index": event.index, "pts_ms": event.pts_ms})
            elif isinstance(event, Finished):
                say({"kind": "finished", **asdict(event)})


def encode(
    file: BinaryIO, into: BinaryIO, job: dict[str, Any], say: Callable[[dict[str, object]], None]
) -> None:
    """Write a rendition of `file` as `job` says and report through `say`."""
    try:
        with _telling(say):
            encode_job.run(file, into, job, say)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        say({"kind": "disk_full"})


@contextmanager
def _telling(say: Callable[[dict[str, object]], None]) -> Iterator[None]:
    """Without FFmpeg's own words; what is wrong with the media goes to the parent."""
    av.logging.set_level(av.logging.PANIC)
    try:
        yield
    except InputError as error:
        say(
            {
                "kind": "refused",
                "error": type(error).__name__,
                "code": error.code.value,
                "message": error.message,
                "fix": error.fix,
            }
        )
