"""Two short clips made on the spot from one public-domain photo: a real one, and a forgery of it.

The photo is NASA's portrait of the astronaut Eileen Collins, which scikit-image carries. The forgery
blends an altered copy of her face into the photo itself, the way of Shiohara and Yamasaki,
"Detecting Deepfakes with Self-Blended Images" (CVPR 2022), section 3: same person, other colours
and sharpness, slightly displaced, inside a soft mask. It looks harmless and is forged all the same.
"""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

FRAMES = 80
FRAMES_PER_SECOND = 25
SIDE_PX = 512
#: The face in the photo, pixels: centre and half axes of an ellipse from brows to chin.
_CENTRE = (224.0, 128.0)
_AXES = (41.0, 56.0)
#: The part of the photo around it that is worked on.
_PATCH = (slice(48, 208), slice(154, 294))
_SEED = 2022


def make_clips(folder: Path) -> tuple[Path, Path]:
    """Write `real.mp4` and `forged.mp4` (512 x 512, 3.2 s, H.264) into `folder`; return both paths.

    The same bytes on every run of one machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    photo = np.asarray(data.astronaut(), dtype=np.uint8)
    rng = np.random.default_rng(_SEED)
    real = _write(folder / "real.mp4", [camera(photo, i, rng) for i in range(FRAMES)])
    rng = np.random.default_rng(_SEED + 1)
    forged = _write(
        folder / "forged.mp4", [camera(self_blend(photo, i), i, rng) for i in range(FRAMES)]
    )
    return real, forged


def camera(photo: Image, index: int, rng: np.random.Generator) -> Image:
    """Frame `index` of a hand-held shot of `photo`: pan, zoom, sway, changing light, sensor noise."""
    turn = 2.0 * np.pi * index / FRAMES
    zoom = 1.8 + 0.15 * float(np.sin(turn))
    # Chosen so that the photo fills the view at every zoom, and nothing but the face looks like one.
    middle = (228.0 + 20.0 * float(np.cos(turn)), 164.0 + 8.0 * float(np.sin(turn + 0.7)))
    matrix = cv2.getRotationMatrix2D(middle, 1.2 * float(np.sin(2.0 * turn)), zoom)
    matrix[:, 2] += SIDE_PX / 2 - np.array(middle)
    seen = cv2.warpAffine(
        photo, matrix, (SIDE_PX, SIDE_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    ).astype(np.float32)
    light = np.float32(1.0 + 0.07 * np.sin(turn + 1.0))
    noise = 2.0 * rng.standard_normal(seen.shape, dtype=np.float32)
    return _rounded(seen * light + noise)


def self_blend(photo: Image, index: int) -> Image:
    """The photo with an altered copy of its own face in it, wobbling a little over the frames."""
    turn = 2.0 * np.pi * index / FRAMES
    forged = photo.copy()
    patch = photo[_PATCH]
    mask = _mask(float(turn))[_PATCH][..., None]
    mixed = mask * _altered(patch, float(turn)) + (1.0 - mask) * patch.astype(np.float32)
    forged[_PATCH] = _rounded(mixed)
    return forged


def _rounded(picture: Floats) -> Image:
    return np.asarray(np.clip(np.rint(picture), 0, 255), dtype=np.uint8)


def _altered(patch: Image, turn: float) -> Floats:
    """The copy: warmer, sharper, a few per cent larger, displaced and bent."""
    picture = patch.astype(np.float32)
    picture += 0.9 * (picture - cv2.GaussianBlur(picture, (0, 0), 1.6))
    picture = (picture - 128.0) * 1.08 + 128.0 + np.array([11.0, -2.0, -11.0], dtype=np.float32)
    height, width = patch.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    bend = 1.6 * np.sin(y / 17.0 + turn)
    map_x = width / 2 + (x - width / 2) / 1.04 - 2.0 + bend
    map_y = height / 2 + (y - height / 2) / 1.03 + 1.5 + 0.8 * np.sin(x / 13.0 - turn)
    moved = cv2.remap(
        np.clip(picture, 0.0, 255.0),
        map_x.astype(np.float32),
        map_y.astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(moved, dtype=np.float32)


def _mask(turn: float) -> Floats:
    """(512, 512) in 0..1: a soft ellipse over the inner face."""
    drawn = np.zeros((SIDE_PX, SIDE_PX), dtype=np.float32)
    centre = (round(_CENTRE[0] + 1.5 * np.cos(turn)), round(_CENTRE[1] + np.sin(turn)))
    cv2.ellipse(drawn, centre, (round(_AXES[0]), round(_AXES[1])), -4.0, 0.0, 360.0, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(drawn, (0, 0), 4.0), dtype=np.float32)


def _write(path: Path, frames: list[Image]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264",
            rate=FRAMES_PER_SECOND,
            # One thread: the encoder's output must not depend on how many cores there are.
            options={"crf": "18", "preset": "veryfast", "threads": "1"},
        )
        stream.width = stream.height = SIDE_PX
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FRAMES_PER_SECOND)
        for index, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
