"""One whole frame per track, reduced, so that a person can see who "Face 3" is."""

from dataclasses import dataclass

import cv2
import numpy as np

from unmask.arrays import Images
from unmask.messages import CropMeta

#: Longer side of the pictures.
_SIDE_PX = 640
_QUALITY = 82
#: A later frame takes the place of an earlier one only where the face is so much larger.
_BETTER = 1.3
#: Tracks beyond these have no picture; a report lists no more.
_MOST = 32


@dataclass(frozen=True, kw_only=True)
class WholeFrame:
    """A frame in which a track's face is seen well."""

    meta: CropMeta
    """Of the face in it: the picture's own size is left to whoever opens it."""
    jpeg: bytes


class WholeFrames:
    """Keeps the best frame of each track while the video goes by."""

    def __init__(self) -> None:
        self.kept: dict[int, WholeFrame] = {}
        """By track id."""

    def look(self, rgb: Images, metas: list[CropMeta]) -> None:
        """One frame (H, W, 3) uint8 RGB with the faces cut out of it."""
        jpeg: bytes | None = None
        for meta in metas:
            best = self.kept.get(meta.track_id)
            if best is None and len(self.kept) >= _MOST:
                continue
            if best is not None and meta.face_px < _BETTER * best.meta.face_px:
                continue
            jpeg = jpeg or _reduced(rgb)
            self.kept[meta.track_id] = WholeFrame(meta=meta, jpeg=jpeg)


def _reduced(rgb: Images) -> bytes:
    height, width = rgb.shape[:2]
    factor = min(1.0, _SIDE_PX / max(height, width))
    if factor < 1.0:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    if not done:
        raise ValueError(f"cannot encode a picture of shape {rgb.shape}")
    return bytes(data)
