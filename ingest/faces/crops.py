"""One square crop per face, in native pixels, with the matrix back to the frame."""

import numpy as np

from unmask.arrays import Images
from unmask.geometry import Affine, Box, cut, half_up, resize, square_around
from unmask.plugin import FaceCrop


def cut_crop(frame_rgb: Images, box: Box, scale: float, cap_px: int) -> FaceCrop:
    """Cut the square of side `scale` x the longer side of `box`, centred on it.

    frame_rgb (H, W, 3) uint8; box and result in pixels. What lies outside the frame is mirrored. A
    crop wider than `cap_px` is reduced once; the reduction is part of crop_to_frame. Raises
    ValueError where the square shows nothing of the frame.
    """
    height, width = frame_rgb.shape[:2]
    # Whole-pixel corners: the crop is a copy of the frame's own samples, never interpolated.
    left, top, side = square_around(box, scale, least_px=1, rounded=half_up)
    if left >= width or top >= height or left + side <= 0 or top + side <= 0:
        raise ValueError(f"box {box} lies outside the frame of {width}x{height}")
    pixels = np.ascontiguousarray(cut(frame_rgb, left, top, side))
    reduction = 1.0
    if side > cap_px:
        pixels = resize(pixels, cap_px)
        reduction = side / cap_px
    matrix: Affine = (reduction, 0.0, float(left), 0.0, reduction, float(top))
    x0, y0, x1, y1 = box
    inner: Box = (
        (x0 - left) / reduction,
        (y0 - top) / reduction,
        (x1 - left) / reduction,
        (y1 - top) / reduction,
    )
    return FaceCrop(pixels=pixels, box=inner, crop_to_frame=matrix)
