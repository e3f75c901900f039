"""From the wide crop around a face to a plugin's input: one cut, one resize, and the way back."""

import cv2
import numpy as np

from unmask.messages import Affine
from unmask.plugin import FaceCrop, Floats, Images


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


def face_square(crop: FaceCrop, scale: float) -> tuple[int, int, int]:
    """Left, top and side in crop pixels of the square around the face box.

    Side = scale * longer side of the box, centred on it, on whole pixels (at least 2).
    """
    x0, y0, x1, y1 = crop.box
    side = max(2, round(scale * max(x1 - x0, y1 - y0)))
    left = round((x0 + x1 - side) / 2)
    top = round((y0 + y1 - side) / 2)
    return left, top, side


def cut(pixels: Images, left: int, top: int, side: int) -> Images:
    """The square (side, side, 3), mirrored where it leaves the picture."""
    height, width = pixels.shape[:2]
    before_x, before_y = max(0, -left), max(0, -top)
    after_x, after_y = max(0, left + side - width), max(0, top + side - height)
    if before_x or before_y or after_x or after_y:
        pixels = np.asarray(
            cv2.copyMakeBorder(
                pixels, before_y, after_y, before_x, after_x, cv2.BORDER_REFLECT_101
            ),
            dtype=np.uint8,
        )
    x, y = left + before_x, top + before_y
    return pixels[y : y + side, x : x + side]


def network_input(crop: FaceCrop, *, scale: float, input_px: int) -> tuple[Floats, Affine]:
    """One crop -> image (3, S, S) float32 RGB in 0..1, and the affine from it to the frame.

    Resizes once: by area when shrinking, linearly when enlarging. Affines map pixel corners, so no
    half-pixel shift is in them.
    """
    left, top, side = face_square(crop, scale)
    square = cut(crop.pixels, left, top, side)
    if side != input_px:
        how = cv2.INTER_AREA if side > input_px else cv2.INTER_LINEAR
        square = np.asarray(
            cv2.resize(square, (input_px, input_px), interpolation=how), dtype=np.uint8
        )
    image = np.ascontiguousarray(square.transpose(2, 0, 1), dtype=np.float32) / np.float32(255.0)
    step = side / input_px
    to_crop: Affine = (step, 0.0, float(left), 0.0, step, float(top))
    return image, compose(crop.crop_to_frame, to_crop)
