"""Where to look for faces on the next sampled frame: all over it, or first of all where they were.

A quick look may only confirm. It searches the whole frame at a reduced size, and asks of each known
face where it is now. Where it shows anybody new, or somebody known is not to be found, or the last
search of everything is too long ago, the frame is searched as if it were alone. So a new face that is
small on the frame may be found up to three frames late; a large one is not, and a face that is followed
is never followed past the point where it was lost. Either way a box comes to rest on the whole frame,
so that a quick look cuts a face as a full search does.
"""

from dataclasses import replace

from ingest.faces import Face, FaceDetector, QuickDetector, in_order, shrink
from ingest.faces.finders.face import moved
from unmask.geometry import Box, iou, longer_side
from unmask.plugin import Images

#: Every so many sampled frames, and at least so often in the video's own time, all is searched.
_ALL_EVERY_FRAMES = 4
_ALL_EVERY_MS = 2000
#: A frame must be so many times larger than a quick look, or that saves less than it costs.
_WORTH = 2.0
#: A face of so many pixels at the reduced size is seen well, also one that lies on its side, of which
#: whoever lays boxes to rest may be less sure.
_CLEAR_PX = 64.0
#: More known faces that a glimpse does not show cost as much as searching everything.
_MOST_UNSEEN = 6
#: Overlap (IoU) that two sightings of one face on neighbouring frames have, and that a box has with the
#: one from which it came to rest on the same frame.
_SAME, _STILL_THERE = 0.2, 0.5
#: How sure of a face one must be to lay its box to rest, and to say that it is still there.
_LIKELY, _SURE = 0.5, 0.8


class QuickSearch:
    """Finds the faces of one video's sampled frames, in order. The same frames, the same faces."""

    def __init__(self, detector: FaceDetector, *, quick: bool = True) -> None:
        """`quick`: False searches every frame as if it were alone."""
        self._detector = detector
        self._quick = quick
        self.was_quick = False
        """Whether the last frame was only confirmed."""
        self._known: list[Face] = []
        self._quick_looks = 0
        """Since everything was searched."""
        self._searched_ms = 0

    def find(self, rgb: Images, pts_ms: int) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB frame, left to right. Times ascend."""
        found = self._confirmed(rgb, pts_ms) if self._quick else None
        self.was_quick = found is not None
        if found is None:
            found = self._detector.detect(rgb)
            if isinstance(self._detector, QuickDetector):
                found = in_order([_at_rest(self._detector, rgb, face) for face in found], None)
            self._quick_looks, self._searched_ms = 0, pts_ms
        else:
            self._quick_looks += 1
        self._known = found
        return found

    def _confirmed(self, rgb: Images, pts_ms: int) -> list[Face] | None:
        """The known faces and nothing else, or None where everything is to be searched."""
        detector = self._detector
        if (
            not isinstance(detector, QuickDetector)
            or not self._known
            or self._quick_looks + 1 >= _ALL_EVERY_FRAMES
            or pts_ms - self._searched_ms >= _ALL_EVERY_MS
            or max(rgb.shape[:2]) < _WORTH * detector.quick_px
        ):
            return None
        small, factor = shrink(rgb, detector.quick_px)
        glimpses = [moved(face, factor) for face in detector.glimpse(small)]
        found: list[Face] = []
        unseen = 0
        for known in self._known:
            glimpse = _taken(known.box, glimpses)
            if glimpse is not None:
                # Who was certain before is no less so for a glimpse.
                glimpse = replace(glimpse, score=max(glimpse.score, known.score))
            unseen += glimpse is None
            again = (
                _again(detector, rgb, known, glimpse, factor) if unseen <= _MOST_UNSEEN else None
            )
            if again is None or any(iou(again.box, other.box) > _SAME for other in found):
                return None
            found.append(again)
        new = any(glimpse.score >= detector.new_score for glimpse in glimpses)
        return None if new else in_order(found, rgb)


def _again(
    detector: QuickDetector, rgb: Images, known: Face, glimpse: Face | None, factor: float
) -> Face | None:
    """A known face where it is now; None where it is not to be found."""
    if glimpse is not None and longer_side(glimpse.box) * factor >= _CLEAR_PX:
        return _at_rest(detector, rgb, glimpse)
    near = glimpse or known
    box, sure = detector.at_rest(rgb, near.box)
    there = sure >= _SURE and iou(box, near.box) >= _SAME
    return replace(near, box=box, sure=sure) if there else None


def _at_rest(detector: QuickDetector, rgb: Images, face: Face) -> Face:
    """The same face with its box at rest; as it came where it does not come to rest on it."""
    box, sure = detector.at_rest(rgb, face.box)
    there = sure >= _LIKELY and iou(box, face.box) >= _STILL_THERE
    return replace(face, box=box if there else face.box, sure=sure or None)


def _taken(box: Box, faces: list[Face]) -> Face | None:
    """Take out of `faces` the one that overlaps `box` most, if that is the same face."""
    overlaps = [iou(face.box, box) for face in faces]
    best = max(overlaps, default=0.0)
    return faces.pop(overlaps.index(best)) if best >= _SAME else None
