"""From the wide crop around a face to a plugin's input: one cut, one resize, and the way back."""

import numpy as np

from unmask.arrays import Floats
from unmask.geometry import Affine, compose, cut, resize, square_around
from unmask.plugin import FaceCrop


def network_input(crop: FaceCrop, *, scale: float, input_px: int) -> tuple[Floats, Affine]:
    """One crop -> image (3, S, S) float32 RGB in 0..1, and the affine from it to the frame.

    Resizes once. Affines map pixel corners, so no half-pixel shift is in them.
    """
    left, top, side = square_around(crop.box, scale)
    square = resize(cut(crop.pixels, left, top, side), input_px)
    image = np.ascontiguousarray(square.transpose(2, 0, 1), dtype=np.float32) / np.float32(255.0)
    step = side / input_px
    to_crop: Affine = (step, 0.0, float(left), 0.0, step, float(top))
    return image, compose(crop.crop_to_frame, to_crop)
