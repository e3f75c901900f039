"""The decoding process's other work: a rendition that any browser plays, of frames as they are shown.

VP9 in WebM, pictures alone: every current browser plays it, those without patented codecs too, and
its encoder may be used by anybody. Its clock is ours: milliseconds from the first frame.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO, cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from ingest.decoding.decode import Frame, Limits, Opened, decode
from ingest.decoding.events import Rendered
from ingest.decoding.sampling import SamplingPolicy
from unmask.arrays import Images

_ENCODER = "libvpx-vp9"
#: Quick to make rather than small: it is watched once or twice and thrown away.
_OPTIONS = {"deadline": "realtime", "cpu-used": "8", "crf": "34", "b": "0"}
#: So many frames to the next key frame: a jump decodes no more.
_KEY_EVERY = 30
#: Room for the index before the pictures, so that a player need not look at the end first: by key
#: frame, and for what else is in it.
_CUE_BYTES, _INDEX_BYTES = 32, 1024
_TELL_EVERY = 25
#: Videos of more frames are made at half the height: it takes a quarter of the time.
_MANY_FRAMES = 18_000
_BT709 = 1


@dataclass(frozen=True)
class Stretch(SamplingPolicy):
    """Every frame of a stretch. Times in ms from the first frame, both ends included."""

    start_ms: int = 0
    end_ms: int | None = None

    def choose(self, pts_ms: Sequence[float], keyframes: Sequence[bool]) -> list[int]:
        """Never none: of a stretch between two frames, the one before it.

        >>> Stretch("all", start_ms=50, end_ms=60).choose([0, 40, 80], [True] * 3)
        [1]
        """
        end = float("inf") if self.end_ms is None else self.end_ms
        inside = [i for i, at in enumerate(pts_ms) if self.start_ms <= at <= end]
        before = [i for i, at in enumerate(pts_ms) if at <= self.start_ms]
        return inside or before[-1:] or [0]


def fitted(width: int, height: int, most: int) -> tuple[int, int]:
    """Width and height, even, with the shorter side at most `most`.

    >>> fitted(1920, 1080, 720), fitted(1080, 1920, 720), fitted(641, 359, 720), fitted(9000, 3, 720)
    ((1280, 720), (720, 1280), (642, 360), (9000, 4))
    """
    share = min(1.0, most / min(width, height))
    return tuple(max(4, 2 * round(side * share / 2 + 0.01)) for side in (width, height))  # type: ignore[return-value]


def run(file: BinaryIO, into: BinaryIO, job: dict[str, Any], say: Callable[[Any], None]) -> None:
    """Encode `file` into `into` as `job["encode"]` says; reports through `say`. Raises InputError."""
    wish = job["encode"]
    stop_s = time.monotonic() + float(wish["seconds"])
    policy = Stretch("all", start_ms=wish["start_ms"], end_ms=wish["end_ms"])
    limits = replace(Limits(**job["limits"]), max_looks=wish["max_frames"], looks_per_second=None)
    events = decode(file, job["container"], policy, limits, stream=job["stream"])
    opened = next(events)
    assert isinstance(opened, Opened)  # noqa: S101 - it comes first, or decode raises
    say({"kind": "opened", **asdict(opened)})
    most = wish["max_height"] if opened.sampled <= _MANY_FRAMES else wish["max_height"] // 2
    picture = _Pictures(into, fitted(opened.width, opened.height, most), opened.sampled)
    first_ms = last_ms = 0
    whole = True
    for frame in events:
        if not isinstance(frame, Frame):
            continue
        if time.monotonic() > stop_s or into.tell() > wish["max_bytes"]:
            whole = False
            break
        if not picture.done and wish["start_ms"]:
            first_ms = frame.pts_ms
        last_ms = frame.pts_ms
        picture.put(frame.rgb, frame.pts_ms - first_ms)
        if picture.done % _TELL_EVERY == 0:
            say({"kind": "rendering", "done": picture.done, "of": opened.sampled})
    picture.end()
    rendered = Rendered(frames=picture.done, start_ms=first_ms, end_ms=last_ms, whole=whole)
    say({"kind": "rendered", **asdict(rendered)})


class _Pictures:
    """The file being written."""

    def __init__(self, into: BinaryIO, size: tuple[int, int], frames: int) -> None:
        self.done = 0
        self._size = size
        index_bytes = _INDEX_BYTES + _CUE_BYTES * (frames // _KEY_EVERY + 1)
        options = {"reserve_index_space": str(index_bytes)}
        self._media = av.open(into, "w", format="webm", container_options=options)
        self._stream = cast(VideoStream, self._media.add_stream(_ENCODER, rate=1000))
        context = self._stream.codec_context
        context.width, context.height = size
        context.pix_fmt, context.gop_size = "yuv420p", _KEY_EVERY
        context.thread_count, context.options = 1, _OPTIONS
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG

    def put(self, rgb: Images, at_ms: int) -> None:
        """One frame, at its own time."""
        width, height = self._size
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(
            width=width,
            height=height,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts = at_ms
        self._media.mux(self._stream.encode(frame))
        self.done += 1

    def end(self) -> None:
        """What the encoder holds back, and the index."""
        self._media.mux(self._stream.encode(None))
        self._media.close()
