"""Where to look for faces on the next sampled frame: all over it, or first of all where they were.

A quick look may only confirm. It searches the whole frame at a reduced size, and looks again, close
up, at known faces that are too small there. Where it shows anybody new, or somebody known is not to
be found, or the last search of everything is too long ago, the frame is searched as if it were alone.
So a new face that is small on the frame may be found a frame or two late; a large one is not, and a
face that is followed is never followed past the point where it was lost.
"""

import math

import numpy as np

from ingest.faces import Face, FaceDetector, QuickDetector, in_order, shrink
from ingest.faces.finders.face import moved, square_within
from unmask.geometry import Box, iou, longer_side
from unmask.plugin import Images

#: Every so many sampled frames, and at least so often in the video's own time, all is searched.
_ALL_EVERY_FRAMES = 3
_ALL_EVERY_MS = 2000
#: A frame must be so many times larger than a quick look, or that saves less than it costs.
_WORTH = 2.0
#: A face of so many pixels at the reduced size is seen as well as it ever will be.
_CLEAR_PX = 64.0
#: A smaller one is looked at in a square of so many times its side, in which it has so many pixels.
_AROUND = 2.5
_CLOSE_PX = 96.0
_STEP_PX = 32
#: More of those cost as much as searching everything.
_MOST_CLOSE_UPS = 3
#: Overlap (IoU) that two sightings of one face on neighbouring frames have.
_SAME = 0.2


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
        glimpses = [moved(face, factor) for face in detector.detect(small)]
        found: list[Face] = []
        close_ups = 0
        for known in self._known:
            glimpse = _taken(known.box, glimpses)
            if glimpse is not None and longer_side(glimpse.box) * factor >= _CLEAR_PX:
                found.append(glimpse)
                continue
            close_ups += 1
            near = glimpse or known
            again = self._close_up(rgb, near.box) if close_ups <= _MOST_CLOSE_UPS else None
            if again is None or any(iou(again.box, other.box) > _SAME for other in found):
                return None
            found.append(again)
        return None if glimpses else in_order(found, rgb)

    def _close_up(self, rgb: Images, box: Box) -> Face | None:
        """The face at `box`, looked for in a square around it; None where it is not there."""
        # Few different sizes: a network is made ready anew for each.
        side = math.ceil(_AROUND * longer_side(box) / _STEP_PX) * _STEP_PX
        view, corner = square_within(rgb, box, side)
        square = np.ascontiguousarray(view)
        small, factor = shrink(square, round(_AROUND * _CLOSE_PX))
        seen = [moved(face, factor, corner) for face in self._detector.detect(small)]
        return _taken(box, seen)


def _taken(box: Box, faces: list[Face]) -> Face | None:
    """Take out of `faces` the one that overlaps `box` most, if that is the same face."""
    overlaps = [iou(face.box, box) for face in faces]
    best = max(overlaps, default=0.0)
    return faces.pop(overlaps.index(best)) if best >= _SAME else None
