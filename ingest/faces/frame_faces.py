"""One sampled frame at a time: find its faces, follow them, cut those that are large enough."""

from dataclasses import dataclass

from ingest.decoding.decode import Frame
from ingest.faces import FaceDetector
from ingest.faces.crop_limit import CropLimit
from ingest.faces.crops import cut_crop
from ingest.faces.quick_search import QuickSearch
from ingest.faces.tracks import Tracker, describe
from unmask.messages import CropMeta
from unmask.plugin import FaceCrop


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The faces of one sampled frame."""

    frame_index: int
    pts_ms: int
    faces: tuple[tuple[int, float], ...]
    """Track id and longer side in pixels of every face, of any size."""
    crops: tuple[tuple[CropMeta, FaceCrop], ...]
    """Those of at least the smallest size that a plugin assesses, in order of track id."""
    left_out: int = 0
    """Faces large enough, over the limits for one frame or one video."""


class FaceFollower:
    """Looks at the frames of one video, in order; keeps the tracks."""

    def __init__(
        self,
        face_detector: FaceDetector,
        *,
        crop_scale: float,
        cap_px: int,
        min_face_px: float,
        limit: CropLimit | None = None,
    ) -> None:
        self._searcher = QuickSearch(face_detector)
        self._tracker = Tracker()
        self._crop_scale = crop_scale
        self._cap_px = cap_px
        self._min_face_px = min_face_px
        self._limit = limit

    def plan(self, looks: int) -> None:
        """How many frames will come, for the limit on crops."""
        if self._limit is not None:
            self._limit.plan(looks)

    def look(self, frame: Frame) -> Seen:
        """Detect, link and cut. Frames come in presentation order."""
        found = self._searcher.find(frame.rgb, frame.pts_ms)
        boxes = [face.box for face in found]
        ids = self._tracker.update(frame.pts_ms, boxes, [describe(frame.rgb, box) for box in boxes])
        tracked = sorted(zip(ids, found, strict=True), key=lambda pair: pair[0])
        sizes = tuple((track_id, _side(face.box)) for track_id, face in tracked)
        able = {track: px for track, px in sizes if px >= self._min_face_px}
        taken = set(able) if self._limit is None else self._limit.take(able)
        crops: list[tuple[CropMeta, FaceCrop]] = []
        for (track_id, face_px), (_, face) in zip(sizes, tracked, strict=True):
            if track_id not in taken:
                continue
            crop = cut_crop(frame.rgb, face.box, self._crop_scale, self._cap_px)
            meta = CropMeta(
                frame_index=frame.index,
                pts_ms=frame.pts_ms,
                face_index=len(crops),
                track_id=track_id,
                width=crop.pixels.shape[1],
                height=crop.pixels.shape[0],
                box=crop.box,
                crop_to_frame=crop.crop_to_frame,
                face_px=face_px,
                detector_score=face.score,
            )
            crops.append((meta, crop))
        return Seen(
            frame_index=frame.index,
            pts_ms=frame.pts_ms,
            faces=sizes,
            crops=tuple(crops),
            left_out=len(able) - len(taken),
        )


def _side(box: tuple[float, float, float, float]) -> float:
    return max(box[2] - box[0], box[3] - box[1])
