"""Small real things that stand in for slow ones: a detector on numpy, installed as a plugin is.

`brightness` is a whole plugin: its own package with a manifest, an entry point in its own
distribution, a weights bundle with calibration. Its score is the mean brightness of the crop, its
map the brightness of an 8 x 8 grid, so that tests can compute by hand what must come out.
"""

import hashlib
import json
import os
import signal
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detect_plugins.network_input import network_input
from unmask.bundle import CARD_FILE, WEIGHTS_FILE, Abstention, BundleCard, Calibration, read_card
from unmask.plugin import DetectorManifest, FaceCrop, FaceReading, Floats, Prepared, RawOutput

KEY = "brightness"
INPUT_PX = 32
GRID = 8
#: Environment variables by which a test slows a crop down, makes one raise, or kills the process
#: that scores one: the crop of that brightness, within TOLERANCE.
SLOW_MS = "UNMASK_TEST_SLOW_MS"
DEADLY = "UNMASK_TEST_DEADLY"
TOLERANCE = 1e-4
POISON_SIDE = "UNMASK_TEST_POISON_SIDE"

_MANIFEST = f"""
key = "{KEY}"
title = "Mean brightness"
version = "1.0"
summary = "Calls bright faces forged. For tests."
input_px = {INPUT_PX}
crop_scale = 1.3
min_face_px = 32.0
parameters = 1
gmacs = 0.001
detector = "tests.fakes:BrightnessDetector"
weights = "bundle"
[paper]
title = "None"
authors = "None"
venue = "None"
year = 2026
[map]
kind = "brightness"
height = {GRID}
width = {GRID}
caption = "Where the face is bright."
[licences]
code = "Apache-2.0"
weights = "Apache-2.0"
"""


class BrightnessDetector:
    """p = mean brightness in 0..1; map = mean brightness of each cell."""

    def __init__(self, manifest: DetectorManifest, card: BundleCard | None) -> None:
        self.manifest = manifest
        self.card = card

    @classmethod
    def load(
        cls, manifest: DetectorManifest, folder: Path | None, device: str
    ) -> "BrightnessDetector":
        return cls(manifest, None if folder is None else read_card(folder, manifest.key))

    def prepare(self, crops: Sequence[FaceCrop]) -> Prepared:
        poison = int(os.environ.get(POISON_SIDE, "0"))
        images, matrices = [], []
        for crop in crops:
            side = crop.pixels.shape[0]
            if side == poison:
                raise ValueError(f"a crop of {side} px")
            image, matrix = network_input(crop, scale=self.manifest.crop_scale, input_px=INPUT_PX)
            images.append(image)
            matrices.append(matrix)
        return Prepared(images=np.stack(images), input_to_frame=tuple(matrices))

    def infer(self, images: Floats) -> RawOutput:
        time.sleep(float(os.environ.get(SLOW_MS, "0")) / 1000 * len(images))
        maps = images.mean(axis=1).reshape(len(images), GRID, 4, GRID, 4).mean(axis=(2, 4))
        p = maps.mean(axis=(1, 2))
        if np.any(np.abs(p - float(os.environ.get(DEADLY, "nan"))) < TOLERANCE):
            os.kill(os.getpid(), signal.SIGKILL)
        return RawOutput(p=p, maps=maps, ood=np.abs(p - 0.5))

    def interpret(self, raw: RawOutput) -> Sequence[FaceReading]:
        ood = raw.ood if raw.ood is not None else [None] * len(raw.p)
        return [
            FaceReading(
                p=float(p), heatmap=np.clip(m, 0.0, 1.0), ood=None if o is None else float(o)
            )
            for p, m, o in zip(raw.p, raw.maps, ood, strict=True)
        ]

    def serving(self) -> Any:
        return None


def install_brightness(site: Path, **card: Any) -> Path:
    """Write the plugin into `site`, a folder that is then put on the path; its bundle folder."""
    package = site / "brightness_plugin"
    bundle = package / "bundle"
    bundle.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "manifest.toml").write_text(_MANIFEST)
    info = site / "brightness_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brightness-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[unmask.detectors]\n{KEY} = brightness_plugin\n")
    write_bundle(bundle, **card)
    return bundle


def write_bundle(folder: Path, **card: Any) -> BundleCard:
    """A weights file of one zero, and its card; `card` overrides fields."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    data = struct.pack("<Q", len(header)) + header + struct.pack("<f", 0.0)
    (folder / WEIGHTS_FILE).write_bytes(data)
    made = make_card(sha256=hashlib.sha256(data).hexdigest(), **card)
    (folder / CARD_FILE).write_text(made.model_dump_json())
    return made


def make_card(**fields: Any) -> BundleCard:
    """A card of the brightness plugin, calibrated, that abstains from very dark and very bright."""
    given: dict[str, Any] = {
        "plugin": KEY,
        "plugin_version": "1.0",
        "name": "one zero",
        "created": "2026-11-21",
        "architecture": {},
        "sha256": "0" * 64,
        "dtype": "float32",
        "calibration": Calibration(
            method="platt", fitted_on="nothing, 0 videos", slope=2.0, intercept=0.5
        ),
        "abstention": Abstention(method="mahalanobis", limit=0.45),
    }
    return BundleCard(**(given | fields))
