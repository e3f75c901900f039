"""From packets to sampled frames, in the decoding process: one look every so many milliseconds."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.codec.context import CodecContext
from av.error import EOFError as EndOfFile
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ingest.decoding.display.upright import Turns, square_size
from ingest.live.stream_clock import StreamClock
from ingest.live.wire import Message

#: What cameras, encoders and platforms send, by FFmpeg's names of the decoders.
CODECS = frozenset(
    {"h264", "hevc", "av1", "libdav1d", "vp8", "vp9", "libvpx-vp9", "mpeg2video", "mpeg4", "mjpeg"}
)
#: Arrival times are remembered for so many packets, more than any decoder holds back.
_REMEMBERED = 512


def warm_up() -> None:
    """Load all that decoding and converting will need, while files can still be opened."""
    av.logging.set_level(av.logging.PANIC)
    blank = np.zeros((16, 16, 3), dtype=np.uint8)
    frame = VideoFrame.from_ndarray(blank, format="rgb24").reformat(format="yuv420p")
    frame.to_ndarray(format="rgb24")
    for name in sorted(CODECS & av.codecs_available):
        CodecContext.create(name, "r")


class SampledDecode:
    """One stream, over all its connections. Yields messages and pixels, ready to be sent."""

    def __init__(self, max_pixels: int, every_ms: int) -> None:
        self._max_pixels = max_pixels
        self._usual_ms = self._every_ms = every_ms
        self._context: VideoCodecContext | None = None
        self._turns = Turns()
        self._base = Fraction(1, 90000)
        self._clock = StreamClock()
        self._base_ms = 0
        self._due_ms = 0
        self._arrived: dict[int | None, int] = {}
        self._arrived_last = 0
        self._broken = False
        self.decoded = self.corrupt = self.jumps = 0

    def take(self, message: Message, payload: bytearray) -> Iterator[tuple[Message, memoryview]]:
        """What one message leads to. Raises ValueError for a codec that no stream has."""
        kind = message["kind"]
        if kind == "connection":
            self._clock = StreamClock(message.get("frame_rate"))
            self._base_ms = int(message["base_ms"])
            self._due_ms, self._broken = self._base_ms, False
        elif kind == "opened":
            yield from self._flushed()
            self._open(message, bytes(payload))
        elif kind == "pace":
            self._every_ms = max(1, int(self._usual_ms * float(message["factor"])))
        elif kind == "packet":
            yield from self._packet(message, bytes(payload))
        elif kind == "flush":
            yield from self._flushed()

    def _open(self, message: Message, extradata: bytes) -> None:
        name = message["codec"]
        if name not in CODECS:
            raise ValueError("not a stream's codec")
        context = cast(VideoCodecContext, CodecContext.create(name, "r"))
        context.thread_count = 1
        context.options = {"max_pixels": str(self._max_pixels)}
        if extradata:
            context.extradata = extradata
        self._context, self._base = context, Fraction(*message["time_base"])
        self._turns = Turns()

    def _packet(self, message: Message, data: bytes) -> Iterator[tuple[Message, memoryview]]:
        if self._context is None:
            return
        packet = cast("Packet[VideoStream]", Packet(data))
        packet.pts, packet.dts, packet.time_base = message["pts"], message["dts"], self._base
        if message["key"]:
            packet.is_keyframe = True
        self._remember(message["pts"], int(message["arrived_ms"]))
        # Fewer looks are wanted than the decoder could serve: what nothing builds on is passed over.
        self._context.skip_frame = "NONREF" if self._every_ms > self._usual_ms else "DEFAULT"
        try:
            frames = self._context.decode(packet)
        except EndOfFile:
            return
        except FFmpegError:
            self.corrupt += 1
            self._broken = True
            return
        yield from self._sampled(frames)

    def _flushed(self) -> Iterator[tuple[Message, memoryview]]:
        """What the decoder still holds back."""
        if self._context is None:
            return
        try:
            yield from self._sampled(self._context.decode(None))
        except FFmpegError:
            self.corrupt += 1
        self._context = None

    def _sampled(self, frames: Iterable[VideoFrame]) -> Iterator[tuple[Message, memoryview]]:
        for frame in frames:
            index = self.decoded
            self.decoded += 1
            pts_ms = self._base_ms + self._clock.tick(frame.pts, self._base)
            arrived = self._arrived.get(frame.pts, self._arrived_last)
            if frame.key_frame:
                self._broken = False
            if frame.is_corrupt:
                self.corrupt += 1
                continue
            if self._broken or pts_ms < self._due_ms:
                continue
            self._due_ms = self._base_ms + self._every_ms * (
                (pts_ms - self._base_ms) // self._every_ms + 1
            )
            rgb = self._shown(frame)
            yield (
                {
                    "kind": "frame",
                    "index": index,
                    "pts_ms": pts_ms,
                    "arrived_ms": arrived,
                    "height": rgb.shape[0],
                    "width": rgb.shape[1],
                    "decoded": self.decoded,
                    "corrupt": self.corrupt,
                },
                rgb.reshape(-1).data,
            )

    def _shown(self, frame: VideoFrame) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
        """As a player shows it: square pixels, upright."""
        aspect = self._context.sample_aspect_ratio if self._context is not None else None
        width, height = square_size(frame.width, frame.height, aspect, self._max_pixels)
        if (width, height) != (frame.width, frame.height):
            frame = frame.reformat(
                width=width, height=height, format="rgb24", interpolation="BICUBIC"
            )
        return self._turns.of(frame).shown(
            np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
        )

    def _remember(self, pts: int | None, arrived_ms: int) -> None:
        self._arrived_last = arrived_ms
        self._arrived[pts] = arrived_ms
        if len(self._arrived) > _REMEMBERED:
            del self._arrived[next(iter(self._arrived))]
