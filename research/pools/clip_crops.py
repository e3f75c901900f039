"""Crops of real and forged clips for the pool, both classes through the same codec ladder.

From each clip two stretches of two seconds: a few frames as found, and the same frames after the
stretch was re-encoded (crf 23; one of 30 to 34; one of 18 to 36, mostly smaller). Boxes come from the
frame as found. Where the original of a forgery is at hand, its difference is the mask.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from ingest.faces import Face, FaceDetector
from ingest.faces.crops import cut_crop
from research.pools.research_data import WHOLE, DataFile
from trainers.synthetic.codec import h264
from trainers.synthetic.faces_folder import CAP_PX, LEAST_FACE_PX, SCALE
from trainers.synthetic.pool import PoolWriter
from trainers.synthetic.warps import face_geometry, region_mask
from unmask.arrays import Floats, Images

STRETCH = 48
"""Frames."""
FRAMES_A_CLIP = 8
LARGE_PX = 1000


@dataclass(frozen=True, kw_only=True)
class _Version:
    quality: str
    scale: float
    crf: int | None


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """One frame: as found, after the ladder, and of the original clip."""

    quality: str
    found: Images
    seen: Images
    original: Images | None


def write_clip(writer: PoolWriter, data: Path, file: DataFile, detector: FaceDetector) -> int:
    """Append the crops of one clip; returns how many. Seeded by the clip's own name."""
    rng = random.Random(file.path)
    shapes = np.random.default_rng([ord(c) for c in file.path])
    before = writer.count
    length = _frames_in(data / file.path)
    short = length <= 2 * STRETCH + 10
    starts = [(0, min(length, 2 * STRETCH))] if short else [(int(length * s), STRETCH) for s in (0.08, 0.62)]  # fmt: skip
    for start, count in starts:
        frames = _stretch(data / file.path, start, count)
        if not frames:
            continue
        originals = _stretch(data / file.pair_of, start, count) if file.pair_of else []
        picks = FRAMES_A_CLIP // len(starts)
        at = [int((i + 0.5 + rng.uniform(-0.3, 0.3)) * len(frames) / picks) for i in range(picks)]
        faces = {a: _faces(frames[a], detector, one=bool(file.label)) for a in at}
        if not any(faces.values()):
            continue
        for version in _ladder(rng, max(frames[0].shape)):
            seen = frames if version.crf is None else _encoded(frames, version, rng)
            for a in (a for a in at if a < len(seen)):
                original = originals[a] if a < len(originals) else None
                for face in faces[a]:
                    shown = _Shown(
                        quality=version.quality, found=frames[a], seen=seen[a], original=original
                    )
                    _write(writer, file, shown, face, shapes)
    return writer.count - before


def _write(
    writer: PoolWriter,
    file: DataFile,
    shown: _Shown,
    face: Face,
    rng: np.random.Generator,
) -> None:
    found, seen, original = shown.found, shown.seen, shown.original
    sy, sx = seen.shape[0] / found.shape[0], seen.shape[1] / found.shape[1]
    x0, y0, x1, y1 = face.box
    box = (x0 * sx, y0 * sy, x1 * sx, y1 * sy)
    if max(box[2] - box[0], box[3] - box[1]) < 0.9 * LEAST_FACE_PX:
        return
    crop = cut_crop(seen, box, SCALE, CAP_PX)
    side = crop.pixels.shape[0]
    mask, extent = None, "real"
    if file.label and file.family in WHOLE:
        scale, _, left, _, _, top = crop.crop_to_frame
        points = None
        if face.landmarks is not None:
            moved = np.asarray(face.landmarks) * [sx, sy] - [left, top]
            points = (moved / scale).astype(np.float32)
        mask, extent = region_mask(face_geometry(points, crop.box), "face", side, rng), "whole"
    elif file.label:
        mask = _difference(found, original, face)
        extent = "unknown" if mask is None else "blend"
    writer.add(
        crop.pixels,
        mask,
        label=file.label,
        family=file.family,
        method=file.method,
        source=file.path,
        person="|".join(file.people),
        quality=shown.quality,
        extent=extent,
        face=[v / side for v in crop.box],
    )


def _difference(found: Images, original: Images | None, face: Face) -> Floats | None:
    """Where a forgery differs from its original, over the face's crop; None where unclear."""
    if original is None or original.shape != found.shape:
        return None
    forged = cut_crop(found, face.box, SCALE, CAP_PX).pixels.astype(np.float32)
    real = cut_crop(original, face.box, SCALE, CAP_PX).pixels.astype(np.float32)
    change = cv2.GaussianBlur(np.abs(forged - real).mean(axis=2), (0, 0), 2)
    change = cv2.resize(change, (64, 64), interpolation=cv2.INTER_AREA)
    # Re-encoding changes every pixel a little: only what stands out is forged.
    mask = (change > max(8.0, 0.25 * float(np.percentile(change, 99)))).astype(np.float32)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    return np.asarray(mask, np.float32) if 0.004 < float(mask.mean()) < 0.6 else None


def _ladder(rng: random.Random, longer_px: int) -> Iterator[_Version]:
    yield _Version(quality="found", scale=1.0, crf=None)
    shrunk = rng.uniform(0.45, 0.9) if rng.random() < 0.75 else 1.0
    for scale, crf in ((1.0, 23), (1.0, rng.choice([30, 32, 34])), (shrunk, rng.choice([18, 21, 26, 28, 36]))):  # fmt: skip
        large = longer_px > LARGE_PX and scale == 1.0 and rng.random() < 0.6
        yield _Version(quality=f"crf{crf}", scale=640 / longer_px if large else scale, crf=crf)


def _encoded(frames: list[Images], version: _Version, rng: random.Random) -> list[Images]:
    height, width = frames[0].shape[:2]
    size = (int(width * version.scale) // 2 * 2, int(height * version.scale) // 2 * 2)
    how = cv2.INTER_AREA if version.scale < 1 else cv2.INTER_LINEAR
    resized = [np.asarray(cv2.resize(f, size, interpolation=how), np.uint8) for f in frames]
    return h264(resized, crf=version.crf or 23, preset=rng.choice(["veryfast", "medium"]))


def _faces(frame: Images, detector: FaceDetector, *, one: bool) -> list[Face]:
    found = [f for f in detector.detect(frame) if _longer(f) >= LEAST_FACE_PX and f.score > 0.7]
    found.sort(key=_longer, reverse=True)
    return found[: 1 if one else 3]


def _longer(face: Face) -> float:
    return max(face.box[2] - face.box[0], face.box[3] - face.box[1])


def _frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(container.streams.video[0]) if packet.size)


def _stretch(path: Path, start: int, count: int) -> list[Images]:
    out: list[Images] = []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(container.streams.video[0])):
            if number >= start + count:
                break
            if number >= start:
                out.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
    return out
