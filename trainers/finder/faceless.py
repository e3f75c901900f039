"""Pictures of nobody out of any folders: one of each, whatever sizes it comes in.

Desktops bring a wallpaper in ten sizes, games their stamps and textures with transparent surroundings.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from unmask.arrays import Images

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_LEAST_PX = 96
#: Two pictures whose thumbnails of 12 x 12 differ by less, grey steps on the mean, are one.
_THUMBNAIL_PX, _SAME = 12, 3.0


def faceless(folders: Sequence[Path]) -> Iterator[tuple[str, Images]]:
    """(name, RGB of the largest size) of every picture, by name within its folder.

    Transparent surroundings become one colour, drawn by the name. Files that are no picture, or smaller
    than 96 px, are passed over.
    """
    seen: list[np.ndarray] = []
    for folder in folders:
        files = (p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
        for path in sorted(files, key=lambda p: (-p.stat().st_size, p)):
            name = path.relative_to(folder).as_posix()
            rgb = _read(path, name)
            if rgb is None:
                continue
            small = cv2.resize(rgb, (_THUMBNAIL_PX,) * 2, interpolation=cv2.INTER_AREA)
            thumbnail = np.asarray(small, np.float32)
            if any(np.abs(thumbnail - other).mean() < _SAME for other in seen):
                continue
            seen.append(thumbnail)
            yield name, rgb


def _read(path: Path, name: str) -> Images | None:
    """RGB; None for what is too small or cannot be read."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or min(pixels.shape[:2]) < _LEAST_PX:
        return None
    bgr = np.asarray(pixels >> 8 if pixels.dtype == np.uint16 else pixels).astype(np.uint8)
    if bgr.ndim == 2:
        return np.ascontiguousarray(np.repeat(bgr[..., None], 3, axis=2))
    if bgr.shape[2] == 4:
        colour = np.frombuffer(hashlib.sha256(name.encode()).digest()[:3], np.uint8)
        share = bgr[..., 3:].astype(np.float32) / 255.0
        bgr = (bgr[..., :3] * share + colour * (1.0 - share)).astype(np.uint8)
    return np.ascontiguousarray(bgr[..., 2::-1])
