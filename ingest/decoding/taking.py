"""The second pass over a video: decode the chosen frames, and as little else as that allows."""

import itertools
from collections.abc import Iterator

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ingest.decoding.container import Tally, frames_of, packets
from ingest.decoding.frame_times import Timeline

#: Codecs that show a key frame's followers the same whether or not decoding began at that key frame.
_SEEKABLE = {"h264", "hevc", "vp9", "av1", "mjpeg", "prores"}
#: Codecs that say which pictures no other is built on, and can leave those out without a trace.
_SPARING = {"h264", "hevc"}
#: A jump costs the decoder about so many frames' time (flush, seek, refill).
_JUMP_COST_FRAMES = 8


class Taking:
    """One second pass; `frames` may be read once."""

    def __init__(
        self,
        media: InputContainer,
        stream: VideoStream,
        timeline: Timeline,
        chosen: list[int],
        seek: bool,
    ) -> None:
        self.tally = Tally()
        self.interlaced = False
        """Whether a frame that came out says that it holds two fields."""
        self._media = media
        self._stream = stream
        self._timeline = timeline
        self._chosen = chosen
        self._may_seek = seek and timeline.by_time and stream.codec.name in _SEEKABLE
        # Of two frames at one time, a spared first would pass for the second.
        spares = stream.codec.name in _SPARING and not timeline.repeats
        self._may_spare = seek and timeline.by_time and spares
        # Number of the last key frame at or before each frame.
        self._key_before = list(
            itertools.accumulate((i if key else 0 for i, key in enumerate(timeline.keyframes)), max)
        )

    def frames(self) -> Iterator[tuple[int, VideoFrame]]:
        """The chosen frames with their numbers; damaged ones are left out."""
        wanted = set(self._chosen)
        # The first of those that share a time.
        place = {pts: i for i, pts in reversed(list(enumerate(self._timeline.pts)))}
        queue = iter(self._chosen)
        target = next(queue, None)
        position = -1
        stream = packets(self._media, self._stream)
        while target is not None:
            if self._worth_a_jump(target, position):
                stream = self._jump(self._key_before[target])
                # One jump a target: whatever the decoder does next, it is at that key frame.
                position = max(position, self._key_before[target] - 1)
            for packet in stream:
                self._spare(packet, wanted, place)
                for frame in frames_of(packet, self.tally):
                    if self._timeline.by_time:
                        index = self._number(frame, place, position)
                    else:
                        index = self.tally.decoded - 1
                    # Damage may also upset the decoder's order: what comes late is left out.
                    intact = index > position and not (self.tally.broken or frame.is_corrupt)
                    position = max(position, index)
                    self.interlaced |= frame.interlaced_frame
                    if intact and index in wanted:
                        yield index, frame
                while target is not None and target <= position:
                    target = next(queue, None)
                if target is None or self._worth_a_jump(target, position):
                    break
            else:
                return

    def _number(self, frame: VideoFrame, place: dict[int, int], position: int) -> int:
        """Which frame it is, by its time; -1 for one that nobody told of."""
        index = place.get(frame.pts, -1) if frame.pts is not None else -1
        pts = self._timeline.pts
        while 0 <= index <= position and index + 1 < len(pts) and pts[index + 1] == pts[index]:
            index += 1
        return index

    def _spare(
        self, packet: "Packet[VideoStream]", wanted: set[int], place: dict[int, int]
    ) -> None:
        """Let the decoder pass over pictures that nothing builds on and nobody has chosen."""
        if self._may_spare:
            index = place.get(packet.pts, -1) if packet.pts is not None else -1
            spare = index >= 0 and index not in wanted
            self._stream.codec_context.skip_frame = "NONREF" if spare else "DEFAULT"

    def _worth_a_jump(self, target: int, position: int) -> bool:
        return self._may_seek and self._key_before[target] - position > _JUMP_COST_FRAMES

    def _jump(self, key: int) -> "Iterator[Packet[VideoStream]]":
        """Packets from key frame `key` on; from the very start where the file's index leads astray."""
        pts = self._timeline.pts[key]
        self._media.seek(pts, stream=self._stream, backward=True)
        stream = packets(self._media, self._stream)
        first = next(stream, None)
        if first is not None and first.pts is not None and first.pts <= pts:
            return itertools.chain([first], stream)
        self._may_seek = False
        self._media.seek(0)
        return packets(self._media, self._stream)
