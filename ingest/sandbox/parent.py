"""Decode in a subprocess that can do nothing but decode, and survive whatever becomes of it.

A hostile file may crash, hang or take over the decoder; it then has no network, no file to open, a
bounded share of memory and time, and one socket on which its parent believes nothing it cannot
check. What is enforced is what the kernel allows: see confine.py, and `Decoding.held`.
"""

import contextlib
import fcntl
import json
import mmap
import os
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import structlog
from pydantic import TypeAdapter

from ingest.decoding.decode import Finished, Frame, Limits, Opened
from ingest.decoding.events import Rendered, Rendering
from ingest.sandbox.confine import LOCKS
from ingest.sandbox.decode_job import slots_for
from ingest.sandbox.process import DecoderProcess, bounds_for
from ingest.sources import Source
from unmask.errors import (
    DecodeFailed,
    DecoderKilled,
    MediaRefused,
    Outage,
    ReasonCode,
    UnmaskError,
)
from unmask.settings import Settings
from unmask.system import instruments as metrics

log = structlog.get_logger(__name__)

_MAX_LINE = 1 << 16
_WRITE_SLACK = 64 << 20
_HOSTILE = "Do not open the file elsewhere; convert it on a machine you can spare."
_Event = TypeVar("_Event", Opened, Finished, Rendering, Rendered)


@dataclass(frozen=True)
class _Ring:
    """The shared memory once its size is known."""

    map: mmap.mmap
    height: int
    width: int
    slots: int

    def frame(self, number: int) -> "np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]":
        size = self.height * self.width * 3
        start = (number % self.slots) * size
        view = np.frombuffer(self.map, dtype=np.uint8, count=size, offset=start)
        # A copy: the slot is written again while the caller still looks at the frame.
        return view.reshape(self.height, self.width, 3).copy()


@dataclass(frozen=True, kw_only=True)
class Encode:
    """The wish for a rendition, in the place of frames."""

    descriptor: int
    """Of the empty file it is written to."""
    start_ms: int = 0
    end_ms: int | None = None
    max_height: int = 720
    """Of the shorter side; half of it where there are very many frames."""
    max_frames: int
    """Of a video with more, so many are shown, at even steps."""
    max_bytes: int
    seconds: float
    """Wall clock: what is made by then is what there is."""


class Decoding:
    """One video in one sandboxed process. A context manager; `events` may be read once."""

    def __init__(
        self,
        source: Source,
        sample: str,
        settings: Settings,
        *,
        stream: int | None = None,
        seek: bool = True,
        max_looks: int | None = None,
        looks_per_second: float | None = None,
        encode: Encode | None = None,
    ) -> None:
        """Start the process on an open source. `sample`: a policy as sampling.parse_policy reads it.

        `stream`: number of the video stream; None takes the one that players show.
        `max_looks`, `looks_per_second`: frames to look at, whatever the policy likes; None has no limit.
        `encode`: no frames, but a rendition (encode_job.py); `sample` is then of no account.
        """
        self.held: tuple[str, ...] = ()
        """Locks in force in the process, as confine.py names them; known with the first event."""
        self._settings = settings
        self._waited_s = 0.0
        self._buffer = bytearray()
        self._memory = os.memfd_create("unmask-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        source.file.seek(0)
        # What is held back and the index come on top of what the encoder itself keeps to.
        write_bytes = 0 if encode is None else encode.max_bytes + _WRITE_SLACK
        try:
            self._process = DecoderProcess(bounds_for(settings, write_bytes))
        except BaseException:
            os.close(self._memory)
            raise
        self._channel = self._process.channel
        self._process.give(
            {
                "encode": None if encode is None else asdict(encode),
                "container": source.container,
                "sample": sample,
                "stream": stream,
                "seek": seek,
                "limits": asdict(
                    replace(
                        limits_of(settings), max_looks=max_looks, looks_per_second=looks_per_second
                    )
                ),
            },
            source.file.fileno(),
            self._memory if encode is None else encode.descriptor,
        )

    @property
    def pid(self) -> int:
        """Process id of the decoder."""
        return self._process.pid

    def __enter__(self) -> "Decoding":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.end()
        os.close(self._memory)

    def rendering(self) -> Iterator[Rendering | Rendered]:
        """Of a Decoding that was given `encode`: how far it is, now and then, then what was written.

        Raises as `events` does.
        """
        try:
            while True:
                message = self._message()
                kind = message.get("kind")
                if kind == "held":
                    self._note_locks(message)
                elif kind == "rendering":
                    yield _event(Rendering, message)
                elif kind == "rendered":
                    yield _event(Rendered, message)
                    return
                elif kind != "opened":
                    raise self._failure(message)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise self._ended() from error

    def _note_locks(self, message: dict[str, Any]) -> None:
        self.held = tuple(str(name) for name in message["held"])
        log.debug("decoder.confined", held=self.held)
        for lock in LOCKS:
            metrics.level(metrics.SANDBOX_LOCK, lock in self.held, lock=lock)

    def events(self) -> Iterator[Opened | Frame | Finished]:
        """Opened, the sampled frames in order, Finished.

        Raises MediaRefused and DecodeFailed as decode.decode does, and DecodeFailed where the
        process crashed, ran out of memory or took longer than decode_timeout_s (time spent waiting
        for the caller does not count). Raises Outage where the process did not start, DecoderKilled
        where it was killed from outside.
        """
        ring: _Ring | None = None
        taken = 0
        try:
            while True:
                message = self._message()
                kind = message.get("kind")
                if kind == "held":
                    self._note_locks(message)
                elif kind == "opened" and ring is None:
                    opened = _event(Opened, message)
                    ring = self._share(opened)
                    yield opened
                elif kind == "frame" and ring is not None:
                    index, pts_ms = int(message["index"]), int(message["pts_ms"])
                    rgb = ring.frame(taken)
                    taken += 1
                    # A process that has said its last word does not wait for its slots.
                    with contextlib.suppress(BrokenPipeError):
                        self._channel.sendall(b".")
                    yield Frame(index=index, pts_ms=pts_ms, rgb=rgb)
                elif kind == "finished" and ring is not None:
                    yield _event(Finished, message)
                    return
                else:
                    raise self._failure(message)
        except (KeyError, TypeError, ValueError, OSError) as error:
            # What cannot be understood comes from a decoder that is no longer ours.
            raise self._ended() from error
        finally:
            if ring is not None:
                ring.map.close()

    def _share(self, opened: Opened) -> _Ring:
        size = opened.width * opened.height * 3
        if not 0 < size <= self._settings.max_pixels * 3:
            raise ValueError("frame size out of bounds")
        slots = slots_for(size)
        os.ftruncate(self._memory, size * slots)
        # Memory that shrinks under a reader kills the reader.
        fcntl.fcntl(self._memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        ring = _Ring(mmap.mmap(self._memory, size * slots), opened.height, opened.width, slots)
        self._channel.sendall(b".")
        return ring

    def _message(self) -> dict[str, Any]:
        """The next line from the process. Only time spent waiting here counts against its clock."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        while (end := self._buffer.find(b"\n")) < 0:
            left_s = self._settings.decode_timeout_s - self._waited_s
            before = time.monotonic()
            ready = left_s > 0 and poll.poll(left_s * 1000)
            self._waited_s += time.monotonic() - before
            if not ready:
                raise DecodeFailed(
                    f"decoding took longer than {self._settings.decode_timeout_s:.0f} s.",
                    code=ReasonCode.DECODE_TIMEOUT,
                    fix="Raise UNMASK_DECODE_TIMEOUT_S, or sample fewer frames.",
                )
            data = self._channel.recv(_MAX_LINE)
            self._buffer += data
            if not data or len(self._buffer) > _MAX_LINE:
                raise self._ended()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        message = json.loads(line)
        if not isinstance(message, dict):
            raise TypeError("not a message")
        return message

    def _failure(self, message: dict[str, Any]) -> UnmaskError:
        kind = message.get("kind")
        if kind == "refused":
            error = MediaRefused if message["error"] == "MediaRefused" else DecodeFailed
            return error(
                str(message["message"])[:500],
                code=ReasonCode(message["code"]),
                fix=str(message["fix"])[:500],
            )
        if kind == "disk_full":
            return Outage(
                "no space is left for the rendition.",
                code=ReasonCode.DISK_FULL,
                fix="Free space where UNMASK_DATA_DIR lies.",
            )
        if kind == "out_of_memory" and self.held:
            return self._out_of_memory()
        if kind == "crashed" and self.held:
            return DecodeFailed(f"the decoder failed: {str(message['error'])[:500]}.", fix=_HOSTILE)
        if kind in ("crashed", "out_of_memory"):
            why = str(message.get("error", "it needs more memory"))
            return Outage(
                f"the decoder process did not start ({why[:500]}).",
                fix="Run `unmask doctor`; raise UNMASK_DECODE_MEMORY_BYTES if it is set low.",
            )
        raise ValueError("unknown message")

    def _out_of_memory(self) -> DecodeFailed:
        return DecodeFailed(
            f"decoding needs more than {self._settings.decode_memory_bytes} bytes of memory.",
            fix="Raise UNMASK_DECODE_MEMORY_BYTES, or scale the video down.",
        )

    def _ended(self) -> UnmaskError:
        """The process is gone or talks nonsense: say how it ended."""
        try:
            status = self._process.status(wait_s=1.0)
        except TimeoutError:
            self._process.end()
            return DecodeFailed("the decoder talks nonsense and was ended.", fix=_HOSTILE)
        if status == -signal.SIGXCPU:
            return DecodeFailed(
                "decoding used up its processor time.",
                code=ReasonCode.DECODE_TIMEOUT,
                fix="Raise UNMASK_DECODE_TIMEOUT_S, or sample fewer frames.",
            )
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        if not self.held:
            # It never saw a byte of the media: the machine is at fault, not the file.
            return Outage(
                f"the decoder process did not start ({how}).",
                fix="Run `unmask doctor`; raise UNMASK_DECODE_MEMORY_BYTES if it is set low.",
            )
        if status == -signal.SIGKILL:
            return DecoderKilled(
                "the decoder was killed while decoding, perhaps for want of memory.",
                fix="Give the ingest worker more memory, or lower UNMASK_DECODE_MEMORY_BYTES.",
            )
        return DecodeFailed(f"the decoder died while decoding ({how}).", fix=_HOSTILE)


def limits_of(settings: Settings) -> Limits:
    """What one video may cost."""
    return Limits(
        max_pixels=settings.max_pixels,
        max_seconds=settings.max_seconds,
        max_frames=settings.max_frames,
        max_animation_pixels=settings.max_animation_pixels,
    )


def _event(kind: type[_Event], message: dict[str, Any]) -> _Event:
    # Checked as strictly as what a stranger sends: that is who may be talking.
    return TypeAdapter(kind).validate_python({f.name: message[f.name] for f in fields(kind)})
