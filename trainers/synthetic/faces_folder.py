"""A folder of pictures of real faces -> sitters, for training on blended forgeries alone."""

from pathlib import Path

import cv2
import numpy as np

from ingest.faces import FaceDetector
from ingest.faces.crops import cut_crop
from trainers.synthetic.forge import Face
from trainers.synthetic.pairs import Sitter
from unmask.errors import ConfigError
from unmask.geometry import longer_side

SCALE = 1.85
"""Side of a pool crop over the face's: room for 1.6 with jitter."""
CAP_PX = 384
LEAST_FACE_PX = 44.0
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


def sitters_in(folder: Path, detector: FaceDetector) -> tuple[list[Sitter], dict[str, int]]:
    """The largest face of every picture under `folder`, and how many were left out, by reason.

    Raises ConfigError where no face is found at all.
    """
    found: list[Sitter] = []
    left_out = {"not readable": 0, "no face": 0}
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES):
        sitter = sitter_of(path, detector)
        if isinstance(sitter, str):
            left_out[sitter] += 1
        else:
            found.append(sitter)
    if not found:
        raise ConfigError(
            f"no face in the pictures of {folder} ({left_out}).",
            fix="Point --data at a folder of face pictures, prepared shards, or a pool.",
        )
    return found, left_out


def sitter_of(path: Path, detector: FaceDetector) -> Sitter | str:
    """The largest face of one picture, or why there is none: "not readable", "no face"."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        return "not readable"
    rgb = np.ascontiguousarray(np.asarray(picture, np.uint8)[..., ::-1])
    faces = [f for f in detector.detect(rgb) if longer_side(f.box) >= LEAST_FACE_PX]
    if not faces:
        return "no face"
    face = max(faces, key=lambda f: longer_side(f.box))
    crop = cut_crop(rgb, face.box, SCALE, CAP_PX)
    landmarks = None
    if face.landmarks is not None:
        scale, _, left, _, _, top = crop.crop_to_frame
        landmarks = ((np.asarray(face.landmarks) - [left, top]) / scale).astype(np.float32)
    return Sitter(
        face=Face(pixels=crop.pixels, box=crop.box, landmarks=landmarks),
        person=path.stem,
        source=path.name,
    )


def at_random_size(sitter: Sitter, rng: np.random.Generator, *, least: int = 150) -> Sitter:
    """The same face in a lower resolution: photos are sharper than the frames of a video."""
    face = sitter.face
    side = face.pixels.shape[0]
    wanted = int(rng.integers(min(least, side), side + 1))
    scale = wanted / side
    pixels = cv2.resize(face.pixels, (wanted, wanted), interpolation=cv2.INTER_AREA)
    x0, y0, x1, y1 = (v * scale for v in face.box)
    landmarks = None if face.landmarks is None else (face.landmarks * scale).astype(np.float32)
    small = Face(pixels=np.asarray(pixels, np.uint8), box=(x0, y0, x1, y1), landmarks=landmarks)
    return Sitter(face=small, person=sitter.person, source=sitter.source)
