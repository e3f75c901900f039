"""From a decoded frame to the RGB picture that a player shows, all of one video in one size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from ingest.decoding.display.hdr import is_hdr, tone_mapped
from ingest.decoding.display.upright import Turn, Turns, square_size
from unmask.arrays import Images

#: Shapes that differ by less are one shape in two resolutions.
_SAME_SHAPE = 0.02
_BLACK = 0
#: Without these, FFmpeg rounds down from 10 bits and more: white comes out as 253.
_TO_THE_BIT = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """The one picture size in which all frames of a video come out, so that faces can be followed."""

    width: int
    """Pixels, as shown."""
    height: int
    turn: Turn
    """Of the first frame."""
    turns: Turns
    max_pixels: int

    @classmethod
    def of(
        cls,
        stream: VideoStream,
        first: VideoFrame,
        sizes: Sequence[tuple[int, int]],
        max_pixels: int,
    ) -> "Canvas":
        """Wide and high enough for every coded size in `sizes`; the first frame's own where that
        is more than `max_pixels`."""
        turns = Turns()
        turn = turns.of(first)
        shown = [
            _shown_size(stream, size, turn, max_pixels)
            for size in ((first.width, first.height), *sizes)
        ]
        width, height = max(w for w, _ in shown), max(h for _, h in shown)
        if width * height > max_pixels:
            width, height = shown[0]
        return cls(width=width, height=height, turn=turn, turns=turns, max_pixels=max_pixels)

    def picture(self, stream: VideoStream, frame: VideoFrame) -> Images:
        """(height, width, 3) RGB, upright, in square pixels; one of another shape between bars."""
        width, height = square_size(
            frame.width, frame.height, stream.sample_aspect_ratio, self.max_pixels
        )
        if is_hdr(frame):
            rgb = tone_mapped(frame)
            if (frame.width, frame.height) != (width, height):
                rgb = _resized(rgb, width, height)
        else:
            rgb = _rgb(frame, width, height)
        return self._placed(self.turns.of(frame).shown(rgb))

    def _placed(self, rgb: Images) -> Images:
        height, width = rgb.shape[:2]
        if (width, height) == (self.width, self.height):
            return rgb
        across, down = self.width / width, self.height / height
        if abs(across / down - 1.0) < _SAME_SHAPE:
            return _resized(rgb, self.width, self.height)
        scale = min(across, down)
        rgb = _resized(rgb, round(width * scale), round(height * scale))
        placed = np.full((self.height, self.width, 3), _BLACK, dtype=np.uint8)
        top, left = (self.height - rgb.shape[0]) // 2, (self.width - rgb.shape[1]) // 2
        placed[top : top + rgb.shape[0], left : left + rgb.shape[1]] = rgb
        return placed


def _shown_size(
    stream: VideoStream, size: tuple[int, int], turn: Turn, max_pixels: int
) -> tuple[int, int]:
    width, height = square_size(*size, stream.sample_aspect_ratio, max_pixels)
    return (height, width) if turn.swapped else (width, height)


def _rgb(frame: VideoFrame, width: int, height: int) -> Images:
    deep = any(part.bits > 8 for part in frame.format.components)
    if deep or (frame.width, frame.height) != (width, height):
        how = Interpolation.BICUBIC | (_TO_THE_BIT if deep else 0)
        frame = frame.reformat(width=width, height=height, format="rgb24", interpolation=how)
    return np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


def _resized(rgb: Images, width: int, height: int) -> Images:
    if (rgb.shape[1], rgb.shape[0]) == (width, height):
        return rgb
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    how = "AREA" if width < rgb.shape[1] else "BICUBIC"
    scaled = frame.reformat(width=width, height=height, interpolation=how)
    return np.asarray(scaled.to_ndarray(format="rgb24"), dtype=np.uint8)
