"""One square crop per face, in native pixels, with the matrix back to the frame."""

import math

import cv2
import numpy as np

from unmask.messages import Affine, Box
from unmask.plugin import FaceCrop, Images


def cut_crop(frame_rgb: Images, box: Box, scale: float, cap_px: int) -> FaceCrop:
    """Cut the square of side `scale` x the longer side of `box`, centred on it.

    frame_rgb (H, W, 3) uint8; box and result in pixels. What lies outside the frame is filled by
    reflection, so that no plugin sees a black border that only faces at the edge have. A crop
    wider than `cap_px` is reduced once with INTER_AREA; the reduction is part of crop_to_frame.
    """
    height, width = frame_rgb.shape[:2]
    x0, y0, x1, y1 = box
    side = max(1, round(max(x1 - x0, y1 - y0) * scale))
    left = math.floor((x0 + x1 - side) / 2.0 + 0.5)
    top = math.floor((y0 + y1 - side) / 2.0 + 0.5)

    # Whole-pixel corners: the crop is a copy of the frame's own samples, never interpolated.
    inside_left, inside_top = max(left, 0), max(top, 0)
    inside_right, inside_bottom = min(left + side, width), min(top + side, height)
    if inside_right <= inside_left or inside_bottom <= inside_top:
        raise ValueError(f"box {box} lies outside the frame of {width}x{height}")
    if (inside_left, inside_top, inside_right, inside_bottom) == (
        left,
        top,
        left + side,
        top + side,
    ):
        pixels = np.ascontiguousarray(frame_rgb[top : top + side, left : left + side])
    else:
        columns = _reflect(np.arange(left, left + side), width)
        rows = _reflect(np.arange(top, top + side), height)
        pixels = frame_rgb[rows[:, None], columns[None, :]]

    reduction = 1.0
    if side > cap_px:
        pixels = cv2.resize(pixels, (cap_px, cap_px), interpolation=cv2.INTER_AREA)
        reduction = side / cap_px
    matrix: Affine = (reduction, 0.0, float(left), 0.0, reduction, float(top))
    inner: Box = (
        (x0 - left) / reduction,
        (y0 - top) / reduction,
        (x1 - left) / reduction,
        (y1 - top) / reduction,
    )
    return FaceCrop(pixels=pixels, box=inner, crop_to_frame=matrix)


def _reflect(
    positions: "np.ndarray[tuple[int], np.dtype[np.int64]]", size: int
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Mirror positions into 0..size-1 without repeating the edge (gfedcb|abcdefgh|gfedcba)."""
    if size == 1:
        return np.zeros_like(positions)
    period = 2 * (size - 1)
    folded = np.mod(positions, period)
    return np.where(folded >= size, period - folded, folded)
