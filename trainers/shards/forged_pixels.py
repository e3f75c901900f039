"""What was forged, to the pixel: from paired frames, or from a data set's own masks. Pure."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.faces.crops import cut_crop
from ingest.faces.quarter_turns import to_turned, turned, turns_of
from unmask.messages import CropMeta
from unmask.plugin import Images

Mask = NDArray[np.uint8]
DIFFERENCE = 0.15
"""Of the range, after grey conversion (LRL section 3.3)."""
SMALLEST_REGION = 0.001
"""Share of the crop under which a changed region is codec noise; LRL's threshold alone keeps it."""
ALIGNED = 0.8
"""A pair that differs on more of the crop than this is not aligned frame by frame."""


def difference_mask(fake: Images, real: Images, threshold: float = DIFFERENCE) -> Mask:
    """(H, W) uint8, 255 where grey |fake - real| / 255 > threshold; opened 3x3, specks removed."""
    grey = cv2.cvtColor(cv2.absdiff(fake, real), cv2.COLOR_RGB2GRAY)
    changed = (grey.astype(np.float32) / 255.0 > threshold).astype(np.uint8)
    opened = cv2.morphologyEx(changed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, regions, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    least = SMALLEST_REGION * opened.size
    kept = np.zeros(count, np.uint8)
    kept[1:] = 255 * (stats[1:, cv2.CC_STAT_AREA] > least)
    return np.asarray(kept[regions], np.uint8)


def fit_mask(mask: Mask, height: int, width: int) -> Mask | None:
    """A mask frame at the size of its video's frames; None where their shapes do not agree.

    Lossy mask videos are cut at 127. A mask of another size with the same proportions is resized.
    """
    h, w = mask.shape
    binary = np.where(mask > 127, 255, 0).astype(np.uint8)
    if (h, w) == (height, width):
        return binary
    if abs(w * height - h * width) > 0.02 * max(w * height, h * width):
        return None
    return np.asarray(
        cv2.resize(binary, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8
    )


def cut_like(frame: Images, meta: CropMeta, cap_px: int) -> Images:
    """The square of `frame` that the crop described by `meta` shows, cut by ingest's own function."""
    a, b, tx, c, d, ty = meta.crop_to_frame
    # One of each pair is 0. Where the crop is turned, its first pixel is another corner of the square.
    right, down = round(meta.width * (a + b)), round(meta.width * (c + d))
    left, top, side = min(tx, tx + right), min(ty, ty + down), abs(right)
    turns = turns_of(meta.crop_to_frame)
    box = to_turned((left, top, left + side, top + side), turns, frame.shape)
    return cut_crop(turned(frame, turns), box, 1.0, cap_px).pixels


def cut_mask_like(mask: Mask, meta: CropMeta, cap_px: int) -> Mask:
    """The same of a mask (H, W), binary again after a reduction."""
    cut = cut_like(np.repeat(mask[..., None], 3, axis=2), meta, cap_px)[..., 0]
    return np.where(cut > 127, 255, 0).astype(np.uint8)
