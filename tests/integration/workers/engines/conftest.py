"""A tiny plugin with a high-pass front: what every engine must compile faithfully."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unmask.bundle import BundleCard
from unmask.plugin import (
    DetectorManifest,
    FaceCrop,
    FaceReading,
    Floats,
    Licences,
    MapSpec,
    Paper,
    Prepared,
    RawOutput,
)
from unmask.settings import Settings

INPUT_PX, MAP_PX = 32, 8


class HighPass(nn.Module):
    """A second difference, amplified: rounding the pixels to bf16 first ruins it."""

    def __init__(self) -> None:
        super().__init__()
        kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
        self.register_buffer("weight", kernel.repeat(3, 1, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        padded = F.pad(image, (1, 1, 1, 1), mode="reflect")
        return 30.0 * F.conv2d(padded, self.weight, groups=3)


class TinyNetwork(nn.Module):
    def __init__(self, *, with_ood: bool = False) -> None:
        super().__init__()
        self.high_pass = HighPass()
        self.rgb = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.noise = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.mix = nn.Sequential(
            nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU()
        )
        self.head = nn.Conv2d(32, 1, 1)
        self.with_ood = with_ood

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        streams = torch.cat([self.rgb(image), self.noise(self.high_pass(image))], dim=1)
        cells = self.head(self.mix(F.relu(streams)))[:, 0]
        p, maps = torch.sigmoid(cells.mean(dim=(1, 2))), torch.sigmoid(cells)
        return (p, maps, cells.abs().sum(dim=(1, 2))) if self.with_ood else (p, maps)


class TinyDetector:
    """A Detector over TinyNetwork."""

    def __init__(self, *, with_ood: bool = False, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.network = TinyNetwork(with_ood=with_ood).eval()
        self.card: BundleCard | None = None
        self.manifest = DetectorManifest(
            key="tiny",
            title="Tiny",
            version="1",
            summary="For tests.",
            paper=Paper(title="-", authors="-", venue="-", year=2026),
            input_px=INPUT_PX,
            crop_scale=1.3,
            map=MapSpec(kind="mask", height=MAP_PX, width=MAP_PX, caption="-"),
            licences=Licences(code="Apache-2.0"),
            parameters=1000,
            gmacs=0.001,
            detector="tests.none:Tiny",
            fp32_fronts=("high_pass",),
        )

    @classmethod
    def load(cls, manifest: DetectorManifest, folder: Path | None, device: str) -> "TinyDetector":
        return cls()

    def prepare(self, crops: Sequence[FaceCrop]) -> Prepared:
        images = [
            F.interpolate(
                torch.from_numpy(crop.pixels).permute(2, 0, 1)[None] / 255.0, size=INPUT_PX
            )
            for crop in crops
        ]
        return Prepared(
            images=torch.cat(images).numpy(),
            input_to_frame=tuple(crop.crop_to_frame for crop in crops),
        )

    @torch.inference_mode()
    def infer(self, images: Floats) -> RawOutput:
        outputs = [each.numpy() for each in self.network(torch.from_numpy(images))]
        return RawOutput(p=outputs[0], maps=outputs[1], ood=outputs[2] if outputs[2:] else None)

    def interpret(self, raw: RawOutput) -> Sequence[FaceReading]:
        return [FaceReading(p=float(p), heatmap=m) for p, m in zip(raw.p, raw.maps, strict=True)]

    def serving(self) -> nn.Module:
        return self.network


@pytest.fixture
def detector() -> TinyDetector:
    return TinyDetector()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", batch_size=4, threads=2, device="cpu")


@pytest.fixture
def faces() -> Floats:
    rng = np.random.default_rng(7)
    return rng.uniform(0.0, 1.0, (7, 3, INPUT_PX, INPUT_PX)).astype(np.float32)
