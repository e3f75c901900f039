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
#: So many tracks have a picture; a report shows no more.
_MOST = 64
#: A track that was seen on fewer looks and is gone gives way to a new one: it is hardly ever judged.
_WORTH = 5


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
        """By track id, the one that was seen last at the end."""
        self._looks: dict[int, int] = {}
        """Of the tracks kept."""

    def look(self, rgb: Images, metas: list[CropMeta]) -> None:
        """One frame (H, W, 3) uint8 RGB with the faces cut out of it."""
        jpeg: bytes | None = None
        for meta in metas:
            best = self.kept.pop(meta.track_id, None)
            if best is None and not self._room({other.track_id for other in metas}):
                continue
            if best is None or meta.face_px >= _BETTER * best.meta.face_px:
                jpeg = jpeg or _reduced(rgb)
                best = WholeFrame(meta=meta, jpeg=jpeg)
            self.kept[meta.track_id] = best
            self._looks[meta.track_id] = self._looks.get(meta.track_id, 0) + 1

    def _room(self, here: set[int]) -> bool:
        """Room for one more, if need be in the place of a passing face that was seen longest ago."""
        if len(self.kept) < _MOST:
            return True
        passing = (t for t in self.kept if self._looks[t] < _WORTH and t not in here)
        if (gone := next(passing, None)) is None:
            return False
        del self.kept[gone], self._looks[gone]
        return True


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
