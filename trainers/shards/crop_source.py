"""From a data set's sample to face crops with masks, through ingest's own decoder, finder and cutter.

One box rule for both classes, as two rules would tell them apart: a face box comes from the face
detector on a *genuine* frame where there is one. A forgery's box is that of its paired original's
same frame.
"""

import tarfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ingest.decoding.decode import Frame, Limits, decode
from ingest.decoding.sampling import SamplingPolicy
from ingest.faces import Face, FaceDetector
from ingest.faces.frame_faces import FaceFollower
from ingest.pipeline import iter_face_crops
from ingest.sources import open_source
from trainers.datasets.sample import Sample
from trainers.shards.files import Crop, Skipped
from trainers.shards.forged_pixels import (
    ALIGNED,
    DIFFERENCE,
    Mask,
    cut_like,
    cut_mask_like,
    difference_mask,
    fit_mask,
)
from trainers.shards.ready_crops import keep_ready_made, read_picture, sequences, spread
from trainers.shards.records import ScanResult
from unmask.errors import UnmaskError
from unmask.geometry import Box, apply
from unmask.messages import CropMeta
from unmask.plugin import FaceCrop, Images
from unmask.settings import Settings

Found = tuple[CropMeta, FaceCrop]
STRAY = 0.1
"""Share of a video's frames in which a second face may be the detector's mistake."""
#: Which kind of mask is tried first; the other stands in where a data set lacks it.
_MASK_ORDER = {
    "difference": ("difference", "official"),
    "official": ("official", "difference"),
    "none": (),
}


@dataclass(frozen=True, kw_only=True)
class How:
    """The choices of a prepare run that shape every crop."""

    frames: int
    crop_scale: float
    min_face_px: float
    masks: str
    """difference, official or none; where one kind is missing the other is taken."""
    mask_threshold: float = DIFFERENCE
    """Of a difference mask, share of the range."""
    mask_level: str = ""
    """Difference masks come from the pair at this compression: at c40 codec noise hides the change."""
    keep_originals: bool = False
    """Store the paired original's square beside each forgery (SSIM and pixel-difference maps)."""
    faces: str
    """main: the largest face track of a video; all: every one; single: the one of a video that shows
    no second person."""


class CropSource:
    """Cuts samples into crops. One per process: face detectors belong to one thread."""

    def __init__(self, root: Path, settings: Settings, detector: FaceDetector, how: How) -> None:
        self._root, self._settings, self._detector, self._how = root, settings, detector, how

    def crops(self, sample: Sample) -> tuple[list[Crop], list[Skipped]]:
        """All crops of one sample, and what could not be used. Never raises for bad media."""
        outcome = ScanResult(self._root, sample)
        try:
            if sample.kind == "video" and sample.label and (sample.pair_of or sample.mask_path):
                self._with_company(outcome)
            elif sample.kind == "video":
                self._alone(outcome)
            elif sample.kind == "image":
                self._picture(outcome)
            elif sample.kind == "frames":
                self._frames(outcome)
            else:
                self._archive(outcome)
        except UnmaskError as error:
            outcome.leave_out(error.code.value, error.message)
        except (OSError, tarfile.TarError) as error:
            outcome.leave_out("not_readable", str(error))
        return outcome.made, outcome.skipped()

    def _alone(self, outcome: ScanResult) -> None:
        """A video by itself: exactly what ingest would publish."""
        path = outcome.sample.path
        found = list(
            iter_face_crops(
                path,
                settings=self._settings,
                face_detector=self._detector,
                sample=f"uniform:{self._how.frames}",
                crop_scale=self._how.crop_scale,
                min_face_px=self._how.min_face_px,
            )
        )
        for meta, crop in self._kept(found, min(self._how.frames, self._length(path)), outcome):
            outcome.keep(meta, crop.pixels, None)

    def _with_company(self, outcome: ScanResult) -> None:
        """A forgery beside its original and its mask, frame by frame up to the shortest of them."""
        sample = outcome.sample
        paths = (sample.path, sample.pair_of, sample.mask_path)
        shortest = min(self._length(path) for path in paths if path is not None)
        policy = _FirstFrames("uniform", self._how.frames, limit=shortest)
        fakes = self._decoded(sample.path, policy)
        reals = self._decoded(sample.pair_of, policy) if sample.pair_of else {}
        if reals and _shape(reals) != _shape(fakes):
            outcome.leave_out("pair of another size", f"{_shape(reals)} beside {_shape(fakes)}")
            reals = {}
        masks = self._decoded(sample.mask_path, policy) if sample.mask_path else {}
        pair = fakes, reals
        if reals and sample.pair_of and self._how.mask_level:
            fake_at = at_level(sample.path, self._how.mask_level)
            real_at = at_level(sample.pair_of, self._how.mask_level)
            if fake_at.is_file() and real_at.is_file():
                pair = self._decoded(fake_at, policy), self._decoded(real_at, policy)
            else:
                outcome.leave_out("no pair at the level of masks", self._how.mask_level)
        detector: FaceDetector | _Recorded = self._detector
        if reals:
            found = _main(self._look(reals, self._detector, None))
            detector = _Recorded({meta.frame_index: _frame_box(meta) for meta, _ in found})
        found = self._look(fakes, detector, outcome)
        for meta, crop in self._kept(found, len(fakes), outcome):
            n = meta.frame_index
            fake, real = (frames.get(n) for frames in pair)
            mask = self._mask(meta, (fake or fakes[n], real, masks.get(n)), outcome)
            original = None
            if self._how.keep_originals and n in reals:
                original = cut_like(reals[n].rgb, meta, self._settings.crop_cap_px)
            outcome.keep(meta, crop.pixels, mask, original=original)

    def _mask(
        self, meta: CropMeta, frames: tuple[Frame, Frame | None, Frame | None], outcome: ScanResult
    ) -> tuple[Mask, str] | None:
        """The crop's mask and its kind; None, counted, where there is none to trust.

        frames: the forgery, its original (both at the masks' level), its official mask.
        """
        fake, real, official = frames
        cap = self._settings.crop_cap_px
        for kind in _MASK_ORDER[self._how.masks]:
            mask: Mask | None = None
            if kind == "difference" and real is not None:
                pair = cut_like(fake.rgb, meta, cap), cut_like(real.rgb, meta, cap)
                mask = difference_mask(*pair, self._how.mask_threshold)
                if float(np.mean(mask > 0)) > ALIGNED:
                    outcome.leave_out("pair not aligned")
                    continue
            elif kind == "official" and official is not None:
                fitted = fit_mask(official.rgb[..., 0], *fake.rgb.shape[:2])
                if fitted is None:
                    detail = f"{official.rgb.shape[:2]} for {fake.rgb.shape[:2]}"
                    outcome.leave_out("mask of another shape", detail)
                    continue
                mask = cut_mask_like(fitted, meta, cap)
            if mask is not None and mask.any():
                return mask, kind
            if mask is not None:
                # The kind is there and shows no change: another kind would show what did not change
                # either (NeuralTextures' official masks are the tracker's region).
                outcome.leave_out("empty mask", kind)
                return None
        return None

    def _picture(self, outcome: ScanResult) -> None:
        frame = Frame(index=0, pts_ms=0, rgb=read_picture(outcome.sample.path))
        for meta, crop in self._kept(self._look({0: frame}, self._detector, outcome), 1, outcome):
            outcome.keep(meta, crop.pixels, None)

    def _frames(self, outcome: ScanResult) -> None:
        sample = outcome.sample
        for index in spread(len(sample.frames), self._how.frames):
            wanted = sample.masks and self._how.masks != "none"
            mask = read_picture(sample.masks[index])[..., 0] if wanted else None
            self._ready_made(outcome, index, read_picture(sample.frames[index]), mask)

    def _archive(self, outcome: ScanResult) -> None:
        """Sequences of a tar, each a video of its own."""
        for name, index, rgb in sequences(outcome.sample.path, self._how.frames):
            self._ready_made(outcome, index, rgb, None, video=f"{outcome.sample.video}-{name}")

    def _ready_made(
        self, outcome: ScanResult, index: int, rgb: Images, mask: Mask | None, *, video: str = ""
    ) -> None:
        keep_ready_made(
            outcome,
            index,
            rgb,
            mask,
            min_face_px=self._how.min_face_px,
            cap_px=self._settings.crop_cap_px,
            video=video,
        )

    def _look(
        self,
        frames: dict[int, Frame],
        detector: "FaceDetector | _Recorded",
        outcome: ScanResult | None,
    ) -> list[Found]:
        looker = FaceFollower(
            detector,
            crop_scale=self._how.crop_scale,
            cap_px=self._settings.crop_cap_px,
            min_face_px=self._how.min_face_px,
        )
        found: list[Found] = []
        for index in sorted(frames):
            if isinstance(detector, _Recorded):
                detector.turn_to(index)
            seen = looker.look(frames[index])
            found += seen.crops
            if outcome is not None:
                outcome.leave_out("face_too_small", count=len(seen.faces) - len(seen.crops))
        return found

    def _kept(self, found: list[Found], sampled: int, outcome: ScanResult) -> list[Found]:
        kept = found if self._how.faces == "all" else _main(found)
        frames = Counter(meta.frame_index for meta, _ in found)
        crowded = sum(faces > 1 for faces in frames.values())
        if self._how.faces == "single" and crowded > STRAY * len(frames):
            outcome.leave_out("several people")
            return []
        outcome.leave_out("other face", count=len(found) - len(kept))
        seen = len({meta.frame_index for meta, _ in kept})
        outcome.leave_out("frame without a face", count=sampled - seen)
        return kept

    def _decoded(self, path: Path, policy: SamplingPolicy) -> dict[int, Frame]:
        with open_source(path, self._settings) as source:
            events = decode(source.file, source.container, policy, self._limits())
            return {event.index: event for event in events if isinstance(event, Frame)}

    def _length(self, path: Path) -> int:
        """Frames in the file, told by its first decoding pass."""
        counter = _Counter("uniform", 1)
        self._decoded(path, counter)
        return counter.seen[0]

    def _limits(self) -> Limits:
        return Limits(
            max_pixels=self._settings.max_pixels,
            max_seconds=self._settings.max_seconds,
            max_frames=self._settings.max_frames,
        )


@dataclass(frozen=True)
class _FirstFrames(SamplingPolicy):
    """uniform:N over the first `limit` frames: fake, original and mask may differ by a few."""

    limit: int = 0

    def choose(self, pts_ms: Sequence[float], keyframes: Sequence[bool]) -> list[int]:
        return super().choose(pts_ms[: self.limit], keyframes[: self.limit])


@dataclass(frozen=True)
class _Counter(SamplingPolicy):
    """Looks at one frame and remembers how many there are."""

    seen: list[int] = field(default_factory=list)

    def choose(self, pts_ms: Sequence[float], keyframes: Sequence[bool]) -> list[int]:
        self.seen.append(len(pts_ms))
        return [0] if pts_ms else []


class _Recorded:
    """A face detector that answers with boxes found on other frames."""

    weak = False
    name = "paired-original"

    def __init__(self, boxes: dict[int, Box]) -> None:
        self._boxes, self._index = boxes, -1

    def turn_to(self, index: int) -> None:
        self._index = index

    def detect(self, rgb: Images) -> list[Face]:
        box = self._boxes.get(self._index)
        return [Face(box=box, score=1.0)] if box is not None else []


def at_level(path: Path, level: str) -> Path:
    """The same video of the FaceForensics++ tree at another compression.

    >>> at_level(Path("a/c40/videos/000.mp4"), "c23").as_posix()
    'a/c23/videos/000.mp4'
    """
    return Path(*(level if part in ("raw", "c23", "c40") else part for part in path.parts))


def _frame_box(meta: CropMeta) -> Box:
    """The face box in the frame."""
    x0, y0, x1, y1 = meta.box
    # The crop may be turned: two opposite corners, in whatever order.
    one, other = apply(meta.crop_to_frame, x0, y0), apply(meta.crop_to_frame, x1, y1)
    xs, ys = sorted((one[0], other[0])), sorted((one[1], other[1]))
    return (xs[0], ys[0], xs[1], ys[1])


def _shape(frames: dict[int, Frame]) -> tuple[int, ...]:
    return next((frame.rgb.shape[:2] for frame in frames.values()), ())


def _main(found: list[Found]) -> list[Found]:
    """Crops of the track that covers most area over the frames."""
    area: dict[int, float] = {}
    for meta, _ in found:
        area[meta.track_id] = area.get(meta.track_id, 0.0) + meta.face_px**2
    main = max(area, key=lambda track: (area[track], -track), default=None)
    return [pair for pair in found if pair[0].track_id == main]
