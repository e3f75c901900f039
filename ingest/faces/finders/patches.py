"""Many square patches of one frame at once, for cascades that look again at hundreds of places."""

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.plugin import Images

#: OpenCV resamples pictures of at most 32767 rows: so many patches of 96 px each are far below.
_AT_ONCE = 128


def cut_patches(frame: Images, squares: NDArray[np.float32], side: int) -> Images:
    """(N, side, side, 3) from `squares` (N, 4), corners in pixels of `frame`, any size and place.

    Bilinear; a square more than twice as wide as its patch is taken twice as large and averaged.
    Black outside the frame, as the networks were trained.
    """
    patches = np.empty((len(squares), side, side, 3), np.uint8)
    step = np.maximum(squares[:, 2] - squares[:, 0], 1.0) / side
    for times in (1, 2):
        group = np.flatnonzero((step > 2) == (times == 2))
        for start in range(0, len(group), _AT_ONCE):
            at = group[start : start + _AT_ONCE]
            patches[at] = _sampled(frame, squares[at, :2], step[at], side, times)
    return patches


def _sampled(
    frame: Images,
    corners: NDArray[np.float32],
    step: NDArray[np.float32],
    side: int,
    times: int,
) -> Images:
    """Patches of `times` x `side` samples per side, then averaged down to `side`."""
    samples = side * times
    # One picture of all patches, one below the other: a call for each would cost more than the pixels.
    first = corners + (step[:, None] - 1) / 2
    places = first[:, :, None] + (step / times)[:, None, None] * np.arange(
        samples, dtype=np.float32
    )
    shape = (len(corners), samples, samples)
    across = np.broadcast_to(places[:, 0, None, :], shape).reshape(-1, samples)
    down = np.broadcast_to(places[:, 1, :, None], shape).reshape(-1, samples)
    tall = cv2.remap(frame, across, down, cv2.INTER_LINEAR)
    if times > 1:
        tall = cv2.resize(tall, (side, len(corners) * side), interpolation=cv2.INTER_AREA)
    return np.asarray(tall).reshape(len(corners), side, side, 3)
