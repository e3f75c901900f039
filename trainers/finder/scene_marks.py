"""What befalls a scene: textures behind it, faces cut off or masked, blur, noise, dark, compression."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from trainers.finder.targets import Placed
from unmask.arrays import Images
from unmask.geometry import Box


def texture(side: int, rng: np.random.Generator) -> Images:
    """Noise at a drawn grain, with blocks, rings and writing: nothing of it is a face."""
    grain = int(rng.choice([4, 8, 16, 32, 64]))
    base = rng.integers(0, 256, (grain, grain, 3), np.uint8)
    if rng.random() < 0.5:
        base = np.repeat(base[..., :1], 3, axis=2)
    way = int(rng.choice([cv2.INTER_CUBIC, cv2.INTER_NEAREST]))
    made = np.asarray(cv2.resize(base, (side, side), interpolation=way), np.uint8)
    for _ in range(int(rng.integers(0, 12))):
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        at = tuple(int(v) for v in rng.integers(0, side, 2))
        size = int(rng.integers(3, side // 3))
        shape = rng.random()
        if shape < 0.3:
            cv2.circle(made, at, size, colour, int(rng.choice([-1, 1, 3])))
        elif shape < 0.5:
            cv2.ellipse(made, at, (size, size * 4 // 3), 0, 0, 360, colour, -1)
            cv2.circle(made, (at[0] - size // 3, at[1]), max(1, size // 8), (20, 20, 20), -1)
        elif shape < 0.7:
            cv2.rectangle(made, at, (at[0] + size, at[1] + size), colour, -1)
        else:
            word = "".join(chr(int(c)) for c in rng.integers(48, 122, int(rng.integers(2, 12))))
            cv2.putText(made, word, at, cv2.FONT_HERSHEY_SIMPLEX, size / 60, colour, 2)
    return made


def cut_off(box: Box, side: int) -> float:
    """Share of a box beyond a picture of that side."""
    x0, y0, x1, y1 = box
    inner = max(0.0, min(x1, side) - max(x0, 0)) * max(0.0, min(y1, side) - max(y0, 0))
    return float(1.0 - inner / max(1e-6, (x1 - x0) * (y1 - y0)))


#: How often a face wears a mask, and dark glasses.
_MASKED, _SHADED = 0.10, 0.04
#: Of masks: white, light blue, black, any.
_CLOTHS = ((240, 240, 240), (170, 205, 225), (35, 35, 40))


def dressed(canvas: Images, placed: Sequence[Placed], rng: np.random.Generator) -> Images:
    """The picture with masks and dark glasses drawn over some of its sure faces."""
    for face in placed:
        draw = rng.random()
        if face.sure and draw < _MASKED + _SHADED:
            outline = _mask(face, rng) if draw < _MASKED else _glasses(face)
            cloth = _CLOTHS[int(rng.integers(3))] if draw < _MASKED else (25, 25, 25)
            colour = np.array(cloth, np.float32)
            if rng.random() < 0.2:
                colour = rng.integers(0, 256, 3).astype(np.float32)
            cover = np.zeros(canvas.shape[:2], np.uint8)
            for part in outline:
                cv2.fillPoly(cover, [np.round(part).astype(np.int32)], 255, cv2.LINE_AA)
            share = cover[..., None].astype(np.float32) / 255.0 * rng.uniform(0.8, 1.0)
            light = rng.normal(0, 10, 3) * rng.uniform(0, 1)
            lit = np.clip(colour * rng.uniform(0.7, 1.05) + light, 0, 255)
            canvas = (canvas * (1 - share) + lit * share).astype(np.uint8)
    return canvas


def _mask(face: Placed, rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """From the bridge of the nose, or below it, over the cheeks to the chin."""
    eyes, mouth = face.marks[:2].mean(axis=0), face.marks[3:].mean(axis=0)
    across, down = face.marks[1] - face.marks[0], mouth - eyes
    top = rng.uniform(0.3, 0.75)
    points = [
        eyes - 0.8 * across + (top + 0.1) * down,
        face.marks[2] * 0.6 + eyes * 0.4 + (top - 0.45) * down,
        eyes + 0.8 * across + (top + 0.1) * down,
        mouth + 0.55 * across + 0.45 * down,
        mouth + 0.75 * down,
        mouth - 0.55 * across + 0.45 * down,
    ]
    return [np.array(points, np.float32)]


def _glasses(face: Placed) -> list[NDArray[np.float32]]:
    across = face.marks[1] - face.marks[0]
    down = np.array([-across[1], across[0]])
    corners = ((-0.36, -0.2), (0.36, -0.2), (0.3, 0.22), (-0.3, 0.22))
    return [
        np.array([eye + x * across + y * down for x, y in corners], np.float32)
        for eye in face.marks[:2]
    ]


def degraded(rgb: Images, rng: np.random.Generator) -> Images:
    """Each of these now and then, in the order in which cameras and senders do it."""
    if rng.random() < 0.5:
        curve = 255.0 * (np.arange(256) / 255.0) ** np.exp(rng.normal(0, 0.35))
        curve = (curve - 128) * rng.uniform(0.6, 1.3) + 128 + rng.uniform(-40, 30)
        rgb = np.asarray(cv2.LUT(rgb, np.clip(curve, 0, 255).astype(np.uint8)))
    if rng.random() < 0.12:
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        rgb = np.repeat(np.asarray(grey)[..., None], 3, axis=2)
    elif rng.random() < 0.3:
        rgb = np.clip(rgb * rng.uniform(0.8, 1.2, 3), 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), float(rng.uniform(0.4, 1.8))))
    if rng.random() < 0.15:
        length = int(rng.integers(3, 8))
        rgb = np.asarray(cv2.blur(rgb, (length, 1) if rng.random() < 0.7 else (1, length)))
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(2, 14), rgb.shape[:2])[..., None]
        rgb = np.clip(rgb + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 96))]
        _, data = cv2.imencode(".jpg", rgb, quality)
        rgb = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(rgb, np.uint8)
