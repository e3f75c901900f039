"""Where an encoder tells of a new shot."""

from pathlib import Path

import av
import numpy as np
import pytest

from ingest.decoding.shots import cuts_of

TIMES = [40.0 * i for i in range(500)]


def test_a_key_frame_before_its_turn_is_a_cut_and_one_in_turn_is_not() -> None:
    keys = [i in (0, 100, 130, 230, 330, 430) for i in range(500)]
    assert cuts_of(TIMES, keys, []) == (130,)


def test_where_every_frame_is_a_key_frame_none_of_them_tells() -> None:
    assert cuts_of(TIMES, [True] * 500, [1000] * 500) == ()


def test_a_frame_of_many_times_its_neighbours_bytes_is_a_cut() -> None:
    keys = [i % 50 == 0 for i in range(500)]
    sizes = [9000 if key else 500 + 17 * (i % 9) for i, key in enumerate(keys)]
    assert cuts_of(TIMES, keys, sizes) == ()
    sizes[222] = 8000
    assert cuts_of(TIMES, keys, sizes) == (222,)


def test_of_two_cuts_in_a_row_the_first_counts() -> None:
    keys = [i in (0, 100, 130, 133, 233) for i in range(500)]
    assert cuts_of(TIMES, keys, []) == (130,)


@pytest.mark.parametrize("scenecut", [True, False])
def test_the_cuts_of_a_real_encoder_are_found(tmp_path: Path, scenecut: bool) -> None:
    """Three noisy scenes, as x264 tells of them: by early key frames, or only by their bytes."""
    path = tmp_path / "x.mp4"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.options = {
            "g": "250" if scenecut else "40",
            "sc_threshold": "40" if scenecut else "0",
        }
        for _scene in range(3):
            picture = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            for number in range(55):
                moved = np.roll(picture, number, axis=1)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(moved), format="rgb24")
                for packet in stream.encode(frame):
                    out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    with av.open(str(path)) as media:
        told = sorted(
            (packet.pts, packet.is_keyframe, packet.size)
            for packet in media.demux(video=0)
            if packet.pts is not None
        )
    times = [40.0 * i for i in range(len(told))]
    found = cuts_of(times, [key for _, key, _ in told], [size for *_, size in told])
    assert found == (55, 110)
