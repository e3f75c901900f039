"""Two short clips made on the spot from one public-domain photo: a real one, and a forgery of it.

The photo is NASA's portrait of the astronaut Eileen Collins, which scikit-image carries. Into each frame of
the forgery, as filmed, her own face is pasted again inside a soft mask: slightly displaced, and redrawn at a
third of its resolution, as by a generator of small faces. The way of Shiohara and Yamasaki, "Detecting
Deepfakes with Self-Blended Images" (CVPR 2022), section 3. It looks harmless and is forged all the same.
"""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from unmask.arrays import Floats

Image = NDArray[np.uint8]

FRAMES = 80
FRAMES_PER_SECOND = 25
SIDE_PX = 512
#: The face in the photo, pixels: centre and half axes of an ellipse from brows to chin.
_CENTRE = (224.0, 128.0)
_AXES = (41.0, 56.0)
_SEED = 2022


def make_clips(folder: Path) -> tuple[Path, Path]:
    """Write `real.mp4` and `forged.mp4` (512 x 512, 3.2 s, H.264) into `folder`; return both paths.

    The same bytes on every run of one machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    photo = np.asarray(data.astronaut(), dtype=np.uint8)
    rng = np.random.default_rng(_SEED)
    real = write_clip(folder / "real.mp4", [camera(photo, i, rng) for i in range(FRAMES)])
    rng = np.random.default_rng(_SEED + 1)
    forged = write_clip(
        folder / "forged.mp4", [self_blend(camera(photo, i, rng), i) for i in range(FRAMES)]
    )
    return real, forged


def camera(photo: Image, index: int, rng: np.random.Generator) -> Image:
    """Frame `index` of a hand-held shot of `photo`: pan, zoom, sway, changing light, sensor noise."""
    seen = cv2.warpAffine(
        photo,
        _view(index),
        (SIDE_PX, SIDE_PX),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    ).astype(np.float32)
    light = np.float32(1.0 + 0.07 * np.sin(_turn(index) + 1.0))
    noise = 2.0 * rng.standard_normal(seen.shape, dtype=np.float32)
    return _rounded(seen * light + noise)


def self_blend(frame: Image, index: int) -> Image:
    """`camera`'s frame with an altered copy of its own face in it, wobbling a little over the frames."""
    view, turn = _view(index), _turn(index)
    zoom = float(np.hypot(view[0, 0], view[0, 1]))
    wobble = np.array([1.5 * np.cos(turn), np.sin(turn)])
    centre = view[:, :2] @ (np.array(_CENTRE) + wobble) + view[:, 2]
    mask = _mask(centre, zoom)[..., None]
    return _rounded(mask * _altered(frame, centre, zoom) + (1.0 - mask) * frame)


def _turn(index: int) -> float:
    """How far through the clip, radians."""
    return float(2.0 * np.pi * index / FRAMES)


def _view(index: int) -> NDArray[np.float64]:
    """(2, 3), from the photo's pixels to the frame's."""
    turn = _turn(index)
    zoom = 1.8 + 0.15 * float(np.sin(turn))
    # Chosen so that the photo fills the view at every zoom, and nothing but the face looks like one.
    middle = (228.0 + 20.0 * float(np.cos(turn)), 164.0 + 8.0 * float(np.sin(turn + 0.7)))
    matrix = cv2.getRotationMatrix2D(middle, 1.2 * float(np.sin(2.0 * turn)), zoom)
    matrix[:, 2] += SIDE_PX / 2 - np.array(middle)
    return np.asarray(matrix, dtype=np.float64)


def _rounded(picture: Floats) -> Image:
    return np.asarray(np.clip(np.rint(picture), 0, 255), dtype=np.uint8)


def _altered(frame: Image, centre: NDArray[np.float64], zoom: float) -> Floats:
    """The copy: softer, a few per cent larger, displaced."""
    small = cv2.resize(frame, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)
    soft = cv2.resize(small, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    larger, moved = np.diag([1.04, 1.03]), np.array([2.0, -1.5]) * zoom
    matrix = np.column_stack([larger, centre - larger @ centre + moved])
    return np.asarray(
        cv2.warpAffine(
            soft,
            matrix,
            (SIDE_PX, SIDE_PX),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        dtype=np.float32,
    )


def _mask(centre: NDArray[np.float64], zoom: float) -> Floats:
    """(512, 512) in 0..1: a soft ellipse over the inner face."""
    drawn = np.zeros((SIDE_PX, SIDE_PX), dtype=np.float32)
    middle = (round(float(centre[0])), round(float(centre[1])))
    axes = (round(_AXES[0] * zoom), round(_AXES[1] * zoom))
    cv2.ellipse(drawn, middle, axes, -4.0, 0.0, 360.0, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(drawn, (0, 0), 4.0), dtype=np.float32)


def write_clip(path: Path, frames: list[Image]) -> Path:
    """H.264 of `frames` at FRAMES_PER_SECOND; the same bytes on every run of one machine."""
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
