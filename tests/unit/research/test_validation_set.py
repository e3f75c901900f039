"""Clips of the validation set come out alike each time."""

from pathlib import Path

import av
import numpy as np
from skimage.data import astronaut

from research.pools.validation_set import reencode


def _clip(path: Path) -> Path:
    """Two seconds of a moving face under noise."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(50):
            cut = astronaut()[number // 2 : 240 + number // 2, 60 + number : 380 + number]
            noisy = np.clip(cut + rng.normal(0, 6, cut.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(noisy))))
        container.mux(stream.encode())
    return path


def test_a_clip_is_encoded_to_the_same_bytes_wherever_its_buffers_lie(tmp_path: Path) -> None:
    source = _clip(tmp_path / "clip.mp4")
    held: list[bytearray] = []
    made: set[bytes] = set()
    for number in range(12):
        held.append(bytearray(4096 * number + 1000))  # moves the encoder's buffers
        reencode(source, tmp_path / "made.mp4", 32)
        made.add((tmp_path / "made.mp4").read_bytes())
    assert len(made) == 1
