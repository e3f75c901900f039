"""High dynamic range (PQ and HLG, BT.2100) brought down to what an ordinary screen shows.

Left as they are, such frames come out grey and flat: no face a detector has ever learnt. White of
BT.2408 (203 cd/m2) becomes white here, what is brighter is pressed together above a knee, hue kept.
"""

import functools

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from unmask.arrays import Images

#: Transfer characteristics by their numbers in ITU-T H.273.
_PQ, _HLG = 16, 18
_WHITE_NITS = 203.0
_HLG_PEAK_NITS = 1000.0
_KNEE = 0.6
_GAMMA = 1 / 2.2
#: Rows that are worked on at a time: floats of a whole 4k frame would not fit the cage.
_ROWS = 64

Floats = NDArray[np.float32]

#: Linear BT.2020 to linear BT.709, for row vectors.
_TO_709 = np.array(
    [
        [1.660491, -0.124550, -0.018151],
        [-0.587641, 1.132900, -0.100579],
        [-0.072850, -0.008349, 1.118730],
    ],
    dtype=np.float32,
)
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)


def is_hdr(frame: VideoFrame) -> bool:
    """Whether the stream says that its values are PQ or HLG."""
    return frame.color_trc in (_PQ, _HLG)


def tone_mapped(frame: VideoFrame) -> Images:
    """(height, width, 3) sRGB-like RGB of a PQ or HLG frame."""
    coded = np.asarray(frame.to_ndarray(format="rgb48le"), dtype=np.uint16)
    mapped = np.empty(coded.shape, dtype=np.uint8)
    hlg = frame.color_trc == _HLG
    table = _linear(hlg)
    for top in range(0, len(coded), _ROWS):
        light = table[coded[top : top + _ROWS]]
        if hlg:
            # The system's gamma works on luminance, so that hue stays (BT.2100, table 5).
            luminance = np.maximum(light @ _LUMINANCE, 1e-6)
            light *= (luminance**0.2)[..., None] * np.float32(_HLG_PEAK_NITS / _WHITE_NITS)
        mapped[top : top + _ROWS] = _screen(light)
    return mapped


def _screen(light: Floats) -> Images:
    """Light, 1 = white, to 8 bit."""
    brightest = np.maximum(light.max(axis=-1), 1e-6)
    over = np.maximum(brightest - _KNEE, 0.0) / (1.0 - _KNEE)
    pressed = np.minimum(brightest, _KNEE) + (1.0 - _KNEE) * (1.0 - np.exp(-over))
    shown = np.clip((light * (pressed / brightest)[..., None]) @ _TO_709, 0.0, 1.0)
    screen: Images = np.rint(shown**_GAMMA * 255.0).astype(np.uint8)
    return screen


@functools.cache
def _linear(hlg: bool) -> Floats:
    """Light of each of the 65536 coded values: PQ as shares of white, HLG as shares of the scene."""
    coded = np.arange(65536, dtype=np.float64) / 65535.0
    if hlg:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(coded <= 0.5, coded**2 / 3.0, (np.exp((coded - c) / a) + b) / 12.0)
    else:
        m1, m2 = 2610 / 16384, 2523 / 4096 * 128
        c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
        root = coded ** (1 / m2)
        light = (np.maximum(root - c1, 0.0) / (c2 - c3 * root)) ** (1 / m1)
        light *= 10_000.0 / _WHITE_NITS
    table: Floats = light.astype(np.float32)
    return table
