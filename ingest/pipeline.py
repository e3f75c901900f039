"""The way of one video: open, decode in the sandbox, find faces, follow, cut, publish, close."""

from collections.abc import Iterator
from pathlib import Path

from ingest.decode import Frame, Limits, decode
from ingest.faces import FaceDetector
from ingest.looking import Looker
from ingest.sampling import parse_policy
from ingest.sources import open_source
from unmask.messages import CropMeta
from unmask.plugin import FaceCrop
from unmask.settings import Settings


def iter_face_crops(
    path: Path,
    *,
    settings: Settings,
    face_detector: FaceDetector,
    sample: str,
    crop_scale: float,
    min_face_px: float,
) -> Iterator[tuple[CropMeta, FaceCrop]]:
    """The crops of one video exactly as `ingest_video` cuts them, for trainers.

    Raises MediaRefused, DecodeFailed, ConfigError.
    """
    looker = Looker(
        face_detector,
        crop_scale=crop_scale,
        cap_px=settings.crop_cap_px,
        min_face_px=min_face_px,
    )
    limits = Limits(
        max_pixels=settings.max_pixels,
        max_seconds=settings.max_seconds,
        max_frames=settings.max_frames,
    )
    with open_source(path, settings) as source:
        for event in decode(source.file, source.container, parse_policy(sample), limits):
            if isinstance(event, Frame):
                yield from looker.look(event).crops
