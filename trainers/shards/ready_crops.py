"""Pictures that are face crops already (WildDeepfake, DeepfakeBench): taken as they are."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ingest.decoding.sampling import SamplingPolicy
from ingest.faces.crops import cut_crop
from trainers.shards.forged_pixels import Mask, cut_mask_like, fit_mask
from trainers.shards.records import ScanResult
from unmask.errors import DecodeFailed
from unmask.geometry import Box
from unmask.messages import CropMeta
from unmask.plugin import Images


def read_picture(path: Path) -> Images:
    """(H, W, 3) RGB. Raises DecodeFailed, OSError."""
    return decoded_picture(path.read_bytes(), str(path))


def decoded_picture(data: bytes, name: str) -> Images:
    """(H, W, 3) RGB of an encoded picture. Raises DecodeFailed."""
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if bgr is None:
        raise DecodeFailed(f"{name} is no picture that can be read.", fix="Copy it again.")
    return np.ascontiguousarray(np.asarray(bgr, np.uint8)[..., ::-1])


def spread(total: int, frames: int) -> list[int]:
    """At most `frames` of `total` indices, spread evenly over all of them.

    >>> spread(10, 4)
    [0, 3, 6, 9]
    """
    return SamplingPolicy("uniform", frames).choose([float(i) for i in range(total)], [])


def sequences(path: Path, frames: int) -> Iterator[tuple[str, int, Images]]:
    """(sequence, frame number, picture) of an archive N/word/SEQUENCE/FRAME.png."""
    with tarfile.open(path) as archive:
        found: dict[str, list[tarfile.TarInfo]] = {}
        for member in archive:
            if member.isfile() and member.name.lower().endswith((".png", ".jpg")):
                found.setdefault(Path(member.name).parent.name, []).append(member)
        for name, members in sorted(found.items()):
            members.sort(key=lambda m: (len(m.name), m.name))  # 2.png before 10.png
            for index in spread(len(members), frames):
                opened = archive.extractfile(members[index])
                data = opened.read() if opened else b""
                yield name, index, decoded_picture(data, f"{path.name}:{members[index].name}")


def keep_ready_made(
    outcome: ScanResult,
    index: int,
    rgb: Images,
    mask: Mask | None,
    *,
    min_face_px: float,
    cap_px: int,
    video: str = "",
) -> None:
    """Add a picture whose face box is what the sample's `cropped_scale` says.

    `mask`: of the same proportions, forged where >= 1 (DeepfakeBench's rule).
    """
    scale = outcome.sample.cropped_scale or 1.0
    height, width = rgb.shape[:2]
    face = min(height, width) / scale
    if face < min_face_px:
        outcome.leave_out("face_too_small", f"under {min_face_px:g} px")
        return
    x, y = width / 2, height / 2
    box: Box = (x - face / 2, y - face / 2, x + face / 2, y + face / 2)
    crop = cut_crop(rgb, box, scale, cap_px)
    meta = CropMeta(
        frame_index=index,
        pts_ms=0,
        face_index=0,
        track_id=1,
        width=crop.pixels.shape[1],
        height=crop.pixels.shape[0],
        box=crop.box,
        crop_to_frame=crop.crop_to_frame,
        face_px=face,
        detector_score=1.0,
    )
    stored: tuple[Mask, str] | None = None
    if mask is not None:
        fitted = fit_mask(np.where(mask >= 1, 255, 0).astype(np.uint8), height, width)
        if fitted is None:
            outcome.leave_out("mask of another shape", f"{mask.shape} for {rgb.shape[:2]}")
        elif not fitted.any():
            outcome.leave_out("empty mask", "official")
        else:
            stored = cut_mask_like(fitted, meta, cap_px), "official"
    outcome.keep(meta, crop.pixels, stored, video=video)
