"""One sampled frame at a time: find its faces, follow them, turn and cut those large enough."""

from collections.abc import Collection
from dataclasses import dataclass

from ingest.decoding.decode import Frame
from ingest.faces import Face, FaceDetector
from ingest.faces.bars import Bars, Part
from ingest.faces.crop_limit import CropLimit
from ingest.faces.crops import cut_crop
from ingest.faces.directions import DirectedSearch
from ingest.faces.people import People
from ingest.faces.quarter_turns import matrix_back, to_turned, turned
from ingest.faces.scene import Scene
from ingest.faces.tracks import Look, Tracker, describe
from unmask.arrays import Images
from unmask.geometry import longer_side
from unmask.messages import CropMeta
from unmask.plugin import FaceCrop

#: In a crowd, so many faces on one frame are followed: four times what a policy judges by default.
_FOLLOWED = 64


@dataclass(frozen=True, kw_only=True)
class SeenFace:
    """One face on one sampled frame, of any size."""

    track_id: int
    face_px: float
    """Longer side, pixels."""
    turns: int
    """Quarter turns against the clock after which it stands upright."""
    doubtful: bool
    """Whether that could not be told."""
    sure: float | None = None
    """How sure the finder's last network is of a face there, 0..1; None where it was not asked."""
    cropped: bool = False
    """Whether it was cut out."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The faces of one sampled frame."""

    frame_index: int
    pts_ms: int
    faces: tuple[SeenFace, ...]
    """In order of track id."""
    crops: tuple[tuple[CropMeta, FaceCrop], ...]
    """Those large enough for a plugin and within the limit, in order of track id."""
    change: float = 0.0
    """Of the whole picture since the last look (scene.py)."""
    left_out: int = 0
    """Faces large enough, over the limits for one frame or one video."""
    quick: bool = False
    """Whether known faces were only confirmed (quick_search.py)."""
    passed_by: int = 0
    """Faces beyond the many that are followed at once, the smallest; not among `faces`."""


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
        first_track: int = 1,
        most_tracks: int | None = None,
        quick_looks: bool = True,
    ) -> None:
        """`limit`: how many faces are cropped; None: all. `first_track`: the first track's id.

        `most_tracks`: of how many it is remembered who they are; None: of all. `quick_looks`: whether
        known faces may be confirmed at a reduced size.
        """
        self._bars = Bars()
        self._searcher = DirectedSearch(face_detector, quick=quick_looks)
        self._tracker = Tracker(first_track)
        self._scene = Scene()
        self._people = People(most_tracks)
        self._crop_scale = crop_scale
        self._cap_px = cap_px
        self._min_face_px = min_face_px
        self._limit = limit

    def plan(self, looks: int) -> None:
        """How many frames will come, for the limit on crops."""
        if self._limit is not None:
            self._limit.plan(looks)

    @property
    def next_track(self) -> int:
        """The id that the next new face gets."""
        return self._tracker.next_id

    def persons(self, among: Collection[int] | None = None) -> dict[int, int]:
        """Track id -> number of the person, from 1; tracks that are nobody are not in it."""
        return self._people.persons(among)

    def look(self, frame: Frame) -> Seen:
        """Detect, link and cut. Frames come in presentation order."""
        part = self._bars.within(frame.rgb)
        everybody = self._searcher.find(part.rgb, frame.pts_ms)
        found = _largest(everybody)
        looks = [_described(part.rgb, face) for face in found]
        change = self._scene.change(part.rgb)
        boxes = [part.on_frame(face.box) for face in found]
        ids = self._tracker.update(frame.pts_ms, boxes, looks, change)
        self._people.look(frame.pts_ms, ids, looks, change)
        tracked = sorted(zip(ids, found, strict=True), key=lambda pair: pair[0])
        large = [pair for pair in tracked if longer_side(pair[1].box) >= self._min_face_px]
        able = {track_id: longer_side(face.box) for track_id, face in large}
        taken = set(able) if self._limit is None else self._limit.take(able)
        kept = [pair for pair in large if pair[0] in taken]
        cropped = {track_id for track_id, _ in kept}
        return Seen(
            frame_index=frame.index,
            pts_ms=frame.pts_ms,
            faces=tuple(
                SeenFace(
                    track_id=track_id,
                    face_px=longer_side(face.box),
                    turns=face.turns,
                    doubtful=face.doubtful,
                    sure=face.sure,
                    cropped=track_id in cropped,
                )
                for track_id, face in tracked
            ),
            crops=tuple(self._cut(frame, part, number, *pair) for number, pair in enumerate(kept)),
            change=change,
            quick=self._searcher.was_quick,
            left_out=len(large) - len(kept),
            passed_by=len(everybody) - len(found),
        )

    def _cut(
        self, frame: Frame, part: Part, number: int, track_id: int, face: Face
    ) -> tuple[CropMeta, FaceCrop]:
        """The crop stands upright; its matrix leads back to the frame as it is shown."""
        shape = part.rgb.shape
        upright = cut_crop(
            turned(part.rgb, face.turns),
            to_turned(face.box, face.turns, shape),
            self._crop_scale,
            self._cap_px,
        )
        crop = FaceCrop(
            pixels=upright.pixels,
            box=upright.box,
            crop_to_frame=part.to_frame(matrix_back(upright.crop_to_frame, face.turns, shape)),
        )
        meta = CropMeta(
            frame_index=frame.index,
            pts_ms=frame.pts_ms,
            face_index=number,
            track_id=track_id,
            width=crop.pixels.shape[1],
            height=crop.pixels.shape[0],
            box=crop.box,
            crop_to_frame=crop.crop_to_frame,
            face_px=longer_side(face.box),
            detector_score=face.score,
        )
        return meta, crop


def _largest(faces: list[Face]) -> list[Face]:
    if len(faces) <= _FOLLOWED:
        return faces
    ranked = sorted(faces, key=lambda face: (-longer_side(face.box), face.box))
    return sorted(ranked[:_FOLLOWED], key=lambda face: face.box)


def _described(rgb: Images, face: Face) -> Look:
    """As `describe`, with the collar below the chin wherever that is."""
    return describe(turned(rgb, face.turns), to_turned(face.box, face.turns, rgb.shape))
