"""Take a container apart into packets, without decoding one, and hand them on in their own time."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO, Literal

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.stream import VideoStream

from ingest.live.wire import Wire

#: Over more than this the source's clock was set; waiting it out would be wrong.
_JUMP_S = 5.0
_USUAL_BASE = Fraction(1, 90000)
_NEW: Literal["new_extradata"] = "new_extradata"


def open_address(address: str, kind: str, options: dict[str, str], wait_s: float) -> InputContainer:
    """Open a network address with FFmpeg's protocols of that kind and no other."""
    forms = {
        "rtsp": ("rtsp", "rtsp,rtp,rtcp,tcp,udp,tls"),
        "rtmp": ("flv", "rtmp,rtmps,tcp,tls"),
        "udp": ("mpegts", "udp"),
        "tcp": ("mpegts", "tcp"),
    }
    form, protocols = forms[kind]
    # Long enough for a key frame's headers, short enough for a first look within seconds.
    probe = {"probesize": "500000", "analyzeduration": "1500000", "protocol_whitelist": protocols}
    return av.open(
        address,
        mode="r",
        format=form,
        options=probe | options,
        timeout=(wait_s, wait_s),
        buffer_size=1 << 16,
    )


def open_file(file: BinaryIO, form: str) -> InputContainer:
    """Open what is at hand already, with every protocol shut."""
    shut = {"protocol_whitelist": "none"}
    return av.open(file, mode="r", format=form, options=shut, buffer_size=1 << 16)


def first_video(media: InputContainer) -> VideoStream | None:
    """The first video stream; every other stream is thrown away before it is parsed."""
    found = media.streams.video[0] if media.streams.video else None
    for stream in media.streams:
        if found is None or stream.index != found.index:
            stream.discard = Discard.all
    return found


class Pacer:
    """Lets packets go at the pace at which they are to be shown."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._began: float | None = None
        self._first_s = 0.0
        self._last_s = 0.0

    def wait(self, at_s: float | None) -> None:
        """Sleep until it is time for what belongs at `at_s`, seconds on the source's clock."""
        if at_s is None:
            return
        now = time.monotonic()
        if self._began is None or abs(at_s - self._last_s) > _JUMP_S:
            self._began, self._first_s = now, at_s
        self._last_s = at_s
        ahead = (at_s - self._first_s) - (now - self._began)
        if ahead > 0:
            self._sleep(ahead)


@dataclass
class PacketSender:
    """Sends one connection's packets; says anew what they are whenever that changes."""

    wire: Wire
    pacer: Pacer | None = None
    _said: tuple[Any, ...] | None = None
    _extradata: bytes = b""

    def send_all(
        self, media: InputContainer, stream: VideoStream, wall_ms: int | None = None
    ) -> int:
        """Every packet to the end; how many. Raises WireBroken, and FFmpeg's errors."""
        count, self._extradata = 0, bytes(stream.codec_context.extradata or b"")
        for packet in _packets(media, stream):
            self._introduce(stream, packet)
            if self.pacer is not None:
                at = packet.dts if packet.dts is not None else packet.pts
                self.pacer.wait(None if at is None else float(at * packet.time_base))
            message = {
                "kind": "packet",
                "pts": packet.pts,
                "dts": packet.dts,
                "key": packet.is_keyframe,
            }
            if wall_ms is not None:
                message["wall_ms"], wall_ms = wall_ms, None
            self.wire.send(message, bytes(packet))
            count += 1
        return count

    def _introduce(self, stream: VideoStream, packet: "Packet[VideoStream]") -> None:
        context = stream.codec_context
        base = packet.time_base or stream.time_base or _USUAL_BASE
        if packet.has_sidedata(_NEW):
            # How RTMP says that the picture has another size from here on.
            self._extradata = bytes(packet.get_sidedata(_NEW))
        found = (context.name, base, self._extradata)
        if found == self._said:
            return
        self._said = found
        message = {
            "kind": "opened",
            "codec": context.name,
            "time_base": [base.numerator, base.denominator],
            "frame_rate": float(stream.average_rate) if stream.average_rate else None,
        }
        self.wire.send(message, self._extradata)


def _packets(media: InputContainer, stream: VideoStream) -> "Iterator[Packet[VideoStream]]":
    for packet in media.demux(stream):
        if packet.size:
            yield packet
