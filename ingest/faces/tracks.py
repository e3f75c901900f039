"""Follow faces through the sampled frames: an online tracker, pure but for its own memory.

Sampled frames may be seconds apart, where a face no longer overlaps with itself: overlap, distance
and size are weighed against the time that has passed, and the look of face and collar decides the
rest. Why no library: docs/adr/0003-own-tracker.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.geometry import Box, iou, longer_side
from unmask.plugin import Images

Look = NDArray[np.float32]

#: A face is expected back within so many sampled frames, or so many milliseconds if that is longer.
_MEMORY_FRAMES = 6
_MEMORY_MS = 4000
#: A face goes on as it went for so long; after that it may be anywhere near.
_DRIFT_LASTS_S = 0.7
#: Looks further apart than this belong to two people: in a picture that has stayed as it was, where
#: a collar may be hidden by whoever passes in front, and where the picture has changed, so that
#: nothing but the look speaks for one person; in between by degrees. Of 50 people seen alone, 99 % of
#: one person's looks within a clip lie under .38, 99 % of two people's over .47.
_STRANGER, _STRANGER_AFTER_CUT = 0.6, 0.36
#: The picture has changed so much (scene.py) that a cut is likely, or so little that there is none.
_CUT, _NO_CUT = 0.5, 0.1
#: A face moves at most so many of its own widths at once, and so many however long it was away.
_NEAREST, _FURTHEST = 0.8, 0.8 + 1.6 * 1.5
#: Cost of a pair that may not be linked; every allowed cost is below 1.
_FORBIDDEN = 1e6


@dataclass
class _Track:
    id: int
    box: Box
    look: Look
    pts_ms: int
    seen_at: int
    """Number of the sampled frame on which it was last seen."""
    drift: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    """Pixels per second, x and y."""

    def link(self, box: Box, look: Look, pts_ms: int, number: int) -> None:
        """This face, here and now."""
        seconds = (pts_ms - self.pts_ms) / 1000.0
        if 0.0 < seconds < _DRIFT_LASTS_S:
            self.drift = (_centre(box) - _centre(self.box)) / seconds
        else:
            self.drift = np.zeros(2)
        self.box, self.pts_ms, self.seen_at = box, pts_ms, number
        # Slowly: one blurred or turned face must not become what is looked for.
        self.look = (0.7 * self.look + 0.3 * look).astype(np.float32)


class Tracker:
    """Gives every face a track id, 1-based, in the order in which tracks first appear."""

    def __init__(self, first_id: int = 1) -> None:
        self._tracks: list[_Track] = []
        self.next_id = first_id
        """The id that the next new face gets."""
        self._frames = 0

    def update(
        self, pts_ms: int, boxes: Sequence[Box], looks: Sequence[Look], change: float = 0.0
    ) -> list[int]:
        """Track ids of `boxes`, in their order. Call once per sampled frame, times ascending.

        `looks`: one descriptor per box, as `describe` makes it. `change`: of the whole picture since
        the last call, as Scene.change measures it; tracks that do not go on across a cut end there.
        """
        self._frames += 1
        self._tracks = [t for t in self._tracks if self._remembered(t, pts_ms)]
        ids = [0] * len(boxes)
        if boxes and self._tracks:
            costs = self._costs(boxes, looks, pts_ms, change)
            for row, column in _cheapest(costs):
                track = self._tracks[row]
                ids[column] = track.id
                track.link(boxes[column], looks[column], pts_ms, self._frames)
        if change > _CUT and boxes:
            self._tracks = [t for t in self._tracks if t.seen_at == self._frames]
        for column, box in enumerate(boxes):
            if ids[column] == 0:
                ids[column] = self.next_id
                self._tracks.append(_Track(self.next_id, box, looks[column], pts_ms, self._frames))
                self.next_id += 1
        return ids

    def _costs(
        self, boxes: Sequence[Box], looks: Sequence[Look], pts_ms: int, change: float
    ) -> NDArray[np.float64]:
        """(tracks, boxes). In a crowd few pairs are near enough to be worth a closer look."""
        costs = np.full((len(self._tracks), len(boxes)), _FORBIDDEN)
        here = np.array([_centre(box) for box in boxes])
        there = np.array([_centre(track.box) for track in self._tracks])
        sizes = np.array([longer_side(box) for box in boxes]) + np.array(
            [[longer_side(track.box)] for track in self._tracks]
        )
        drift = np.array([[float(np.hypot(*track.drift))] for track in self._tracks])
        apart = np.hypot(*(here[None] - there[:, None]).transpose(2, 0, 1))
        near = apart <= _FURTHEST * sizes / 2.0 + drift * _DRIFT_LASTS_S
        for row, column in np.argwhere(near):
            track = self._tracks[row]
            costs[row, column] = _cost(track, boxes[column], looks[column], pts_ms, change)
        return costs

    def _remembered(self, track: _Track, pts_ms: int) -> bool:
        missed = self._frames - track.seen_at
        return missed <= _MEMORY_FRAMES or pts_ms - track.pts_ms <= _MEMORY_MS


def _cheapest(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Rows and columns of the allowed pairs that together cost least, each used once."""
    allowed = costs < 1.0
    if allowed.sum(axis=0).max() <= 1 and allowed.sum(axis=1).max() <= 1:
        # Nobody competes, as in most videos. The solver's package takes as long to import as ten
        # frames take to be searched, and a farm's worker starts anew for every video.
        return [(int(row), int(column)) for row, column in np.argwhere(allowed)]
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415

    pairs = zip(*linear_sum_assignment(costs), strict=True)
    return [(int(row), int(column)) for row, column in pairs if allowed[row, column]]


def describe(frame_rgb: Images, box: Box) -> Look:
    """What a face looks like, for linking only: hue-saturation histograms of face and collar.

    frame_rgb (H, W, 3) uint8. Returns (256,) float32, each half of unit sum.
    """
    height, width = frame_rgb.shape[:2]
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    face = (x0, y0, x1, y1)
    collar = (x0 - 0.4 * w, y1, x1 + 0.4 * w, y1 + 0.8 * h)
    halves = []
    for a, b, c, d in (face, collar):
        left, right = int(np.clip(a, 0, width - 1)), int(np.clip(c, 1, width))
        top, bottom = int(np.clip(b, 0, height - 1)), int(np.clip(d, 1, height))
        patch = frame_rgb[top : max(bottom, top + 1), left : max(right, left + 1)]
        small = cv2.resize(patch, (32, 32), interpolation=cv2.INTER_AREA)
        hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
        histogram = cv2.calcHist([hsv], [0, 1, 2], None, [8, 4, 4], [0, 180, 0, 256, 0, 256])
        halves.append(histogram.ravel() / histogram.sum())
    return np.concatenate(halves).astype(np.float32)


def _cost(track: _Track, box: Box, look: Look, pts_ms: int, change: float) -> float:
    """0 for the same face at the same place, 1 and above for a link that must not be made."""
    size = 0.5 * (longer_side(track.box) + longer_side(box))
    ratio = longer_side(box) / longer_side(track.box)
    seconds = max(0.0, (pts_ms - track.pts_ms) / 1000.0)
    step = track.drift * seconds if seconds < _DRIFT_LASTS_S else np.zeros(2)
    away = float(np.hypot(*(_centre(box) - _centre(track.box) - step))) / size
    # A face moves at most a few of its own widths between looks, the more the longer it was away.
    reach = _NEAREST + 1.6 * min(seconds, 1.5)
    swell = 1.35 + 0.5 * min(seconds, 1.5)
    if away > reach or not 1.0 / swell <= ratio <= swell:
        return _FORBIDDEN
    moved = (box[0] - step[0], box[1] - step[1], box[2] - step[0], box[3] - step[1])
    overlap = iou(track.box, moved)
    unlike = unlikeness(track.look, look)
    # Hardly moved in hardly any time, in a picture that stayed: it is the same, whatever the light.
    stayed = overlap > 0.5 and seconds < 0.5 and change <= _NO_CUT
    if not stayed and _stranger(unlike, change):
        return _FORBIDDEN
    return 0.3 * away / reach + 0.2 * (1.0 - overlap) + 0.49 * unlike


def _stranger(unlike: float, change: float) -> bool:
    cut = min(max((change - _NO_CUT) / (_CUT - _NO_CUT), 0.0), 1.0)
    return unlike > _STRANGER + cut * (_STRANGER_AFTER_CUT - _STRANGER)


def unlikeness(a: Look, b: Look) -> float:
    """Bhattacharyya distance, 0..1, the mean of face and collar."""
    return float(np.sqrt(max(0.0, 1.0 - 0.5 * float(np.sqrt(a * b).sum()))))


def _centre(box: Box) -> NDArray[np.float64]:
    return np.array([(box[0] + box[2]) / 2.0, (box[1] + box[3]) / 2.0])
