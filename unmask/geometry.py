"""Boxes, affines, and the one way in which a square of a picture is chosen, cut and resized.

Ingest cuts crops with it, plugins cut their inputs out of crops, trainers cut what plugins will see:
one arithmetic, so that no pixel is off between training and serving. Coordinates are (x, y) in
pixels, the origin at the top left corner of the top left pixel.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unmask.arrays import Images

# numpy and OpenCV are imported where pixels are touched: a client reads boxes without either.

#: x0, y0, x1, y1 in pixels, x1 > x0 and y1 > y0.
Box = tuple[float, float, float, float]
#: Row-major 2x3 affine (a, b, tx, c, d, ty): X = a*x + b*y + tx, Y = c*x + d*y + ty.
Affine = tuple[float, float, float, float, float, float]
#: Left, top and side of a square on whole pixels.
Square = tuple[int, int, int]


def apply(affine: Affine, x: float, y: float) -> tuple[float, float]:
    """Where an affine takes a point.

    >>> apply((2, 0, 1, 0, 2, 3), 10, 10)
    (21, 23)
    """
    a, b, tx, c, d, ty = affine
    return a * x + b * y + tx, c * x + d * y + ty


def longer_side(box: Box) -> float:
    """Of a box, in its own pixels.

    >>> longer_side((10, 10, 30, 50))
    40
    """
    return max(box[2] - box[0], box[3] - box[1])


def compose(outer: Affine, inner: Affine) -> Affine:
    """The affine that applies `inner`, then `outer`.

    >>> compose((1, 0, 10, 0, 1, 20), (2, 0, 1, 0, 2, 3))
    (2, 0, 11, 0, 2, 23)
    """
    a, b, tx, c, d, ty = outer
    e, f, ux, g, h, uy = inner
    return (
        a * e + b * g,
        a * f + b * h,
        a * ux + b * uy + tx,
        c * e + d * g,
        c * f + d * h,
        c * ux + d * uy + ty,
    )


def shares(box: Box, to_frame: Affine, width: int, height: int) -> Box:
    """A box in crop pixels as shares of a frame of that size: 0 is left or top, 1 right or bottom.

    >>> shares((0, 0, 10, 10), (1, 0, 20, 0, 1, 10), 100, 50)
    (0.2, 0.2, 0.3, 0.4)
    """
    x0, y0, x1, y1 = box
    xs, ys = zip(*(apply(to_frame, x, y) for x, y in ((x0, y0), (x1, y1))), strict=True)
    return (min(xs) / width, min(ys) / height, max(xs) / width, max(ys) / height)


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0..1.

    >>> iou((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    both = across * down
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def half_up(value: float) -> int:
    """The nearest whole number, halves upwards; `round` takes halves to the even one.

    >>> half_up(0.5), round(0.5), half_up(-0.5)
    (1, 0, 0)
    """
    return math.floor(value + 0.5)


def square_around(
    box: Box, scale: float, *, least_px: int = 2, rounded: Callable[[float], int] = round
) -> Square:
    """The square of side `scale` x the longer side of `box`, centred on it, on whole pixels.

    `rounded` places its corner where the centre falls between pixels. Ingest rounds halves up and
    plugins to the even number: weights were trained and judged on exactly these crops.

    >>> square_around((30, 20, 50, 60), 1.5)
    (10, 10, 60)
    """
    x0, y0, x1, y1 = box
    side = max(least_px, round(max(x1 - x0, y1 - y0) * scale))
    return rounded((x0 + x1 - side) / 2.0), rounded((y0 + y1 - side) / 2.0), side


def cut(pixels: "Images", left: int, top: int, side: int) -> "Images":
    """The square (side, side, ...) of a picture (H, W, ...), mirrored where it leaves the picture.

    Mirrored without repeating the edge (gfedcb|abcdefgh|gfedcba), so that no plugin sees a black
    border that only faces at the edge of a frame have. A view where nothing needs mirroring.
    """
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    height, width = pixels.shape[:2]
    before_x, before_y = max(0, -left), max(0, -top)
    after_x, after_y = max(0, left + side - width), max(0, top + side - height)
    inner = pixels[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
    if not (before_x or before_y or after_x or after_y):
        return inner
    if max(before_y, after_y) < inner.shape[0] and max(before_x, after_x) < inner.shape[1]:
        border = cv2.BORDER_REFLECT_101
        edges = (before_y, after_y, before_x, after_x)
        return np.asarray(cv2.copyMakeBorder(inner, *edges, border), np.uint8)
    # So far out that the mirror image is mirrored again, or shows more than the square holds.
    rows, columns = _mirrored(top, side, height), _mirrored(left, side, width)
    return np.asarray(pixels[np.array(rows)[:, None], np.array(columns)[None, :]], np.uint8)


def resize(pixels: "Images", side: int) -> "Images":
    """A square picture at another side: by area when shrinking, linearly when enlarging."""
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    if pixels.shape[0] == side:
        return pixels
    how = cv2.INTER_AREA if pixels.shape[0] > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=how), np.uint8)


def _mirrored(start: int, length: int, size: int) -> list[int]:
    """Positions start..start+length-1, mirrored into 0..size-1.

    >>> _mirrored(-2, 6, 3)
    [2, 1, 0, 1, 2, 1]
    """
    period = max(1, 2 * (size - 1))
    folded = (position % period for position in range(start, start + length))
    return [position if position < size else period - position for position in folded]
