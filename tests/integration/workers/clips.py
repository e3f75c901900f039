"""Short clips of a public-domain photo with one frontal face, made with PyAV on the spot."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from skimage import data

#: Around the face alone: the cascades cost a fifth of a second a frame on more.
SIZE = 208


def pan(path: Path, *, frames: int = 16, brightness: float = 1.0, start: int = 0) -> Path:
    """A camera moving over the photo: `start` and `brightness` make clips differ."""
    photo = data.astronaut()
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=Fraction(12), options={"crf": "18"})
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for i in range(frames):
            x = 100 + (start + 2 * i) % 40
            view = np.clip(photo[10 : 10 + SIZE, x : x + SIZE] * brightness, 0, 255).astype(
                np.uint8
            )
            for packet in stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
    return path


def wall(path: Path, *, frames: int = 8) -> Path:
    """A grey wall: a video without a face."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=Fraction(12))
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        view = np.full((SIZE, SIZE, 3), 128, np.uint8)
        for _ in range(frames):
            for packet in stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
    return path
