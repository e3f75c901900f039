"""Crops that int8 is calibrated on: an operator's own, or a synthetic set that says so."""

import hashlib
from pathlib import Path

import numpy as np
import structlog
from skimage.io import imread

from unmask.errors import EngineUnavailable
from unmask.plugin import Detector, FaceCrop, Floats
from unmask.settings import Settings
from workers.engines.parity import fixed_crops

log = structlog.get_logger(__name__)

CALIBRATION_FOLDER = "calibration"
MAX_CROPS = 128
_SYNTHETIC_CROPS = 32


def calibration_crops(detector: Detector, settings: Settings) -> Floats:
    """(N, 3, S, S) float32: pictures in data_dir/calibration/, else drawings of faces.

    Each PNG or JPEG there is one square-ish face crop; it goes through the plugin's own prepare().
    """
    folder = settings.data_dir / CALIBRATION_FOLDER
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in {".png", ".jpg", ".jpeg"})
    if not paths:
        log.warning(
            "int8.calibrated_on_drawings",
            plugin=detector.manifest.key,
            fix=f"Put face crops (PNG or JPEG) into {folder} and build again.",
        )
        return fixed_crops(detector.manifest.input_px, _SYNTHETIC_CROPS)
    crops = [_read(path, detector.manifest.crop_scale) for path in paths[:MAX_CROPS]]
    return np.concatenate([detector.prepare([crop]).images for crop in crops])


def _read(path: Path, scale: float) -> FaceCrop:
    pixels = np.asarray(imread(path))
    if pixels.ndim != 3 or pixels.shape[2] < 3 or pixels.dtype != np.uint8:
        raise EngineUnavailable(
            "openvino", f"{path} is not an 8-bit colour picture.", fix="Remove or convert it."
        )
    side = min(pixels.shape[:2])
    margin = side * (1.0 - 1.0 / scale) / 2.0
    return FaceCrop(
        pixels=np.ascontiguousarray(pixels[:side, :side, :3]),
        box=(margin, margin, side - margin, side - margin),
        crop_to_frame=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    )


def calibration_sha256(crops: Floats) -> str:
    """Part of an int8 engine's key: other crops make another engine."""
    return hashlib.sha256(np.ascontiguousarray(crops).data).hexdigest()
