"""Every kind of input a person may hand in, made on the spot with PyAV: good ones and bad ones."""

import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from console.commands.demo_clips import SIDE_PX, camera

Image = NDArray[np.uint8]


def face_frames(count: int) -> Iterator[Image]:
    """A hand-held shot of a public-domain portrait."""
    rng = np.random.default_rng(0)
    photo = np.asarray(data.astronaut(), dtype=np.uint8)
    return (camera(photo, 3 * index, rng) for index in range(count))


def encode(path: Path, frames: Iterator[Image], pts: Callable[[int], int] | None = None) -> Path:
    """H.264 in MP4 at 25 frames per second; `pts` in milliseconds makes the frame rate variable."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=25, options={"preset": "ultrafast", "threads": "1", "g": "8"}
        )
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, 1000)
        for index, rgb in enumerate(frames):
            if index == 0:
                stream.height, stream.width = rgb.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            frame.time_base = Fraction(1, 1000)
            frame.pts = pts(index) if pts else 40 * index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def good(path: Path, count: int = 16) -> Path:
    """One face on every frame."""
    return encode(path, face_frames(count))


def text(path: Path) -> Path:
    """A text file that calls itself a video."""
    path.write_text("This is not a video.\n" * 100)
    return path


def empty(path: Path) -> Path:
    """No bytes at all."""
    path.write_bytes(b"")
    return path


def truncated(path: Path) -> Path:
    """An upload that broke off: its index, at the end of the file, never arrived."""
    whole = good(path.with_name("whole.mp4")).read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    return path


def audio_only(path: Path) -> Path:
    """Sound without a picture."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44100)
        samples = np.zeros((1, 44100), dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def picture(path: Path) -> Path:
    """A still picture."""
    _, encoded = cv2.imencode(".jpg", next(face_frames(1)))
    path.write_bytes(encoded.tobytes())
    return path


def huge(path: Path) -> Path:
    """A GIF of a few bytes whose header claims 16,000 x 16,000 pixels."""
    screen = struct.pack("<HHBBB", 16000, 16000, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    image = b"\x2c" + struct.pack("<HHHHB", 0, 0, 16000, 16000, 0) + b"\x02\x02\x4c\x01\x00\x3b"
    path.write_bytes(b"GIF89a" + screen + image)
    return path


def faceless(path: Path) -> Path:
    """A slow gradient: nothing that any detector takes for a face."""
    ramp = np.tile(np.linspace(0, 200, 320, dtype=np.uint8)[None, :, None], (240, 1, 3))
    return encode(path, (ramp + np.uint8(i) for i in range(16)))


def small_faces(path: Path) -> Path:
    """The portrait far away: a face of about 20 pixels."""

    def frames() -> Iterator[Image]:
        for rgb in face_frames(16):
            canvas = np.full((240, 320, 3), 90, dtype=np.uint8)
            small = cv2.resize(rgb, (52, 52), interpolation=cv2.INTER_AREA)
            canvas[80:132, 120:172] = small
            yield canvas

    return encode(path, frames())


def variable_rate(path: Path) -> Path:
    """Frames at 0, 40, 80 ... and then one per second."""
    return encode(path, face_frames(16), lambda i: 40 * i if i < 8 else 280 + 1000 * (i - 7))


def rotated(path: Path) -> Path:
    """A phone held upright: stored lying on its side, with the note to turn it clockwise."""
    encode(path, (np.rot90(rgb[:, 64:448]) for rgb in face_frames(16)))
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44
    turn = (0, 0x10000, 0, 0xFFFF0000, 0, 0, (SIDE_PX - 128) << 16, 0, 0x40000000)
    content[matrix : matrix + 36] = struct.pack(">9I", *turn)
    path.write_bytes(content)
    return path


def corrupt(path: Path) -> Path:
    """Noise over some packets in the middle; the rest of the file is whole."""
    good(path, 32)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        spans = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    rng = np.random.default_rng(1)
    for start, size in spans[10:14]:
        content[start + 4 : start + size] = rng.bytes(size - 4)
    path.write_bytes(content)
    return path
