"""Still pictures, from a file to one frame that stands upright."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from skimage import data

from ingest.decoding.decode import Frame, Opened
from ingest.sandbox.parent import Decoding
from ingest.sources import open_source
from unmask.settings import Settings

SETTINGS = Settings()
PHOTO = np.ascontiguousarray(data.astronaut()[:300])


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("sample", ["adaptive", "uniform:32"])
def test_a_picture_is_one_frame(tmp_path: Path, form: str, sample: str) -> None:
    path = tmp_path / "photo.mp4"  # whatever its name says
    Image.fromarray(PHOTO).save(path, form, **({"lossless": True} if form == "WEBP" else {}))
    with open_source(path, SETTINGS) as source, Decoding(source, sample, SETTINGS) as decoding:
        events = list(decoding.events())
    opened = next(e for e in events if isinstance(e, Opened))
    (frame,) = (e for e in events if isinstance(e, Frame))
    assert (opened.width, opened.height, opened.sampled) == (512, 300, 1)
    assert frame.rgb.shape == PHOTO.shape
    assert np.abs(frame.rgb.astype(int) - PHOTO).mean() < (0.01 if form == "PNG" else 4)


@pytest.mark.parametrize("form", ["JPEG", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_stands_as_its_camera_was_held(tmp_path: Path, form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.jpg"
    Image.fromarray(PHOTO).save(path, form, quality=95, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    with open_source(path, SETTINGS) as source, Decoding(source, "adaptive", SETTINGS) as decoding:
        (frame,) = (e for e in decoding.events() if isinstance(e, Frame))
    assert frame.rgb.shape == expected.shape
    assert np.abs(frame.rgb.astype(int) - expected).mean() < 4
