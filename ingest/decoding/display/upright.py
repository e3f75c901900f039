"""From a picture as it is coded to the picture a player shows: square pixels, turned, mirrored.

Faces in pictures that are squeezed, lying or mirrored are not the faces that a face detector and a
forgery detector learnt; a player shows none of them so.
"""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from unmask.arrays import Images

# Not unmask.plugin's: the decoding process starts twice as fast without pydantic.

#: Encoders round; resampling every pixel for so little would blur traces and straighten nothing.
_SQUARE_WITHIN = 0.01
#: Wider or narrower pixels than any format has are a damaged header.
_WIDEST = 4.0
_MATRIX = struct.Struct("=9i")


@dataclass(frozen=True, kw_only=True)
class Turn:
    """How rows and columns of the coded picture lie in the shown one: swapped first, then flipped."""

    swapped: bool = False
    flip_x: bool = False
    """Left to right."""
    flip_y: bool = False
    """Top to bottom."""

    @property
    def rotation_deg(self) -> int:
        """Clockwise, before what is left of it: a flip left to right where `mirrored`.

        >>> Turn(swapped=True, flip_x=True).rotation_deg, Turn(flip_y=True).rotation_deg
        (90, 180)
        """
        if self.swapped:
            return 270 if self.flip_y else 90
        return 180 if self.flip_y else 0

    @property
    def mirrored(self) -> bool:
        """Whether no rotation alone gives the shown picture.

        >>> Turn(flip_x=True).mirrored, Turn(flip_x=True, flip_y=True).mirrored
        (True, False)
        """
        return (self.flip_x == self.flip_y) == self.swapped

    def shown(self, rgb: Images) -> Images:
        """(height, width, 3) as coded -> as shown; width and height change places where swapped."""
        if self.swapped:
            rgb = rgb.swapaxes(0, 1)
        if self.flip_x:
            rgb = rgb[:, ::-1]
        if self.flip_y:
            rgb = rgb[::-1]
        return np.ascontiguousarray(rgb)


#: By degrees against the clock.
_QUARTERS = {
    90: Turn(swapped=True, flip_y=True),
    180: Turn(flip_x=True, flip_y=True),
    270: Turn(swapped=True, flip_x=True),
}


def turn_of(matrix: bytes | None) -> Turn:
    """The turn nearest to a display matrix (FFmpeg's nine 16.16 numbers; None: shown as coded).

    Shown are x' = a x + c y and y' = b x + d y of its numbers a, b, -, c, d; angles between the
    quarters go to the nearest one.
    """
    if matrix is None or len(matrix) != _MATRIX.size:
        return Turn()
    a, b, _, c, d, *_ = _MATRIX.unpack(matrix)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Turn(swapped=True, flip_x=c < 0, flip_y=b < 0)
    return Turn(flip_x=a < 0, flip_y=d < 0)


class Turns:
    """The turns that the frames of one stream ask for, or its container does.

    PyAV ties a frame that was asked for its side data into a knot with it, and its picture stays until
    Python next looks for knots, which may be after dozens of frames of 4K. So each angle is looked up
    once, and a stream that begins to mirror in the middle without turning is shown as before.
    """

    def __init__(self) -> None:
        self._by_degrees: dict[int, Turn] = {}

    def of(self, frame: VideoFrame) -> Turn:
        """What this one asks for."""
        degrees = round(frame.rotation)
        if degrees not in self._by_degrees:
            self._by_degrees[degrees] = _turn_of_frame(frame)
        return self._by_degrees[degrees]


def _turn_of_frame(frame: VideoFrame) -> Turn:
    try:
        found: Any = frame.side_data.get("DISPLAYMATRIX")  # PyAV types it as a mapping of nothing
    except ValueError:
        # PyAV gives up at a kind of side data it does not know, which photos carry (EXIF). It knows
        # the rotation all the same; a mirrored photo is then judged mirrored.
        return _QUARTERS.get(round(frame.rotation) % 360, Turn())
    return turn_of(bytes(found) if found is not None else None)


def square_size(
    width: int, height: int, pixel_aspect: Fraction | None, max_pixels: int
) -> tuple[int, int]:
    """Width and height in square pixels, before any turn.

    The short direction of the pixels is stretched, so that nothing is lost; where that would be
    over `max_pixels`, the long one is reduced.

    >>> square_size(720, 576, Fraction(16, 11), 1 << 24)
    (1047, 576)
    >>> square_size(720, 480, Fraction(8, 9), 1 << 24)
    (720, 540)
    >>> square_size(720, 576, Fraction(16, 11), 720 * 576)
    (720, 396)
    >>> square_size(640, 480, Fraction(4320, 4319), 1 << 24)
    (640, 480)
    """
    aspect = float(pixel_aspect or 1)
    if abs(aspect - 1.0) < _SQUARE_WITHIN or not 1 / _WIDEST <= aspect <= _WIDEST:
        return width, height
    wide, high = max(aspect, 1.0), max(1.0 / aspect, 1.0)
    stretched = round(width * wide), round(height * high)
    if stretched[0] * stretched[1] <= max_pixels:
        return stretched
    return max(1, round(width / high)), max(1, round(height / wide))
