"""The temporal candidate: four neighbouring crops as one picture, two by two (TALL, ICCV 2023).

The same pairs, redrawn forgeries, degradations and network as for single frames; what differs is that the four
quarters show one face at four moments, a frame apart, all through the same passage.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from research.heldout.making.degrade import Draw, as_sharp_as, ladder, sharpness
from research.heldout.making.forged_faces import affine_grid, redrawn, sampled
from research.heldout.making.gpu_batch import CROP_OF_STORED, Batch
from research.heldout.stored.packed_crops import Crops

Ints = NDArray[np.int64]


def runs_of(crops: Crops, among: Ints) -> dict[int, Ints]:
    """Index of the last crop of a run of neighbours -> all four, in order of time."""
    found: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)
    for n in among.tolist():
        row = crops.rows[n]
        if row["quality"] == "found":
            found[row["path"], row["moment"]][row["step"]] = n
    return {
        r[-1]: np.array([r[s] for s in (-4, -3, -2, -1)], np.int64)
        for r in found.values()
        if len(r) == 4
    }


class RunSampler:
    """Pairs of runs: a forged one and a real one of like face size, or a real one redrawn."""

    def __init__(
        self, crops: Crops, train: Ints, seed: int, *, tool: float = 0.6, still: bool = False
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.runs = runs_of(crops, train)
        if still:
            self.runs = {n: np.repeat(r[-1:], 4) for n, r in self.runs.items()}
        self.tool = tool
        self.px = np.array([r["face_px"] for r in crops.rows])
        self.forged: dict[str, list[int]] = defaultdict(list)
        reals: dict[str, list[int]] = defaultdict(list)
        for n in self.runs:
            file = crops.files[crops.rows[n]["path"]]
            if file["label"]:
                self.forged[file["tool"]].append(n)
            else:
                reals[file["people"]].append(n)
        self.tools = sorted(self.forged)
        self.people = [reals[p] for p in sorted(reals)]

    def real(self, px: float | None = None) -> int:
        some = [
            int(self.rng.choice(self.people[self.rng.integers(len(self.people))]))
            for _ in range(1 if px is None else 5)
        ]
        return min(some, key=lambda n: 0.0 if px is None else abs(float(np.log(self.px[n] / px))))

    def batch(self, pairs: int) -> tuple[Ints, Ints, int]:
        """(pairs, 4) real and forged crops, and how many of the forged are by tools."""
        tool = round(self.tool * pairs)
        fake = [
            int(self.rng.choice(self.forged[self.tools[self.rng.integers(len(self.tools))]]))
            for _ in range(tool)
        ]
        real = [self.real(self.px[n]) for n in fake] + [self.real() for _ in range(pairs - tool)]
        fake += real[tool:]
        return np.stack([self.runs[n] for n in real]), np.stack([self.runs[n] for n in fake]), tool


def tiled(image: Tensor) -> Tensor:
    """(4 B, 3, S, S), four neighbours side by side in the batch -> (B, 3, 2 S, 2 S)."""
    b, c, s, _ = image.shape
    x = image.view(b // 4, 2, 2, c, s, s).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(b // 4, c, 2 * s, 2 * s)


@torch.no_grad()
def make_runs(
    crops: Crops, drawn: tuple[Ints, Ints, int], decoders: Sequence[nn.Module], side: int
) -> Batch:
    """A batch of thumbnails (2 pairs, 3, side, side)."""
    real_at, fake_at, tool = drawn
    device = crops.device
    real = crops.picture(torch.from_numpy(real_at.ravel()).to(device))
    fake = crops.picture(torch.from_numpy(fake_at.ravel()).to(device))
    pairs = len(real_at)
    pair = torch.arange(pairs, device=device).repeat_interleave(4)
    if tool < pairs:
        fake[4 * tool :] = redrawn(fake[4 * tool :], Draw(pairs - tool, 4, device), decoders)
    soft = [sharpness(x).view(-1, 4).mean(1) for x in (real, fake)]
    target = torch.minimum(soft[0], soft[1])[pair]
    target = torch.where(
        Draw(pairs, 4, device).uniform() < 0.8, target, torch.full_like(target, 1e9)
    )
    real, fake = as_sharp_as(real, target), as_sharp_as(fake, target)
    views = []
    for image in (real, fake):
        draw = Draw(pairs, 4, device)
        zoom = (0.92 * CROP_OF_STORED, 1.1 * CROP_OF_STORED)
        grid = affine_grid(draw, 4 * pairs, 256, turn=0.08, zoom=zoom, shift=0.04)
        views.append(sampled(image, torch.where(draw.some(0.5), grid.flip(2), grid)))
    both = torch.stack([v.view(pairs, 4, 3, 256, 256) for v in views], 1)
    image = ladder(both.flatten(0, 2), 8, side // 2)
    label = torch.tensor([0.0, 1.0], device=device).repeat(pairs)
    nothing = torch.zeros(2 * pairs, dtype=torch.bool, device=device)
    return Batch(
        tiled(image), label, torch.zeros(2 * pairs, 1, side, side, device=device), nothing, nothing
    )


@torch.no_grad()
def judged_runs(crops: Crops, index: Ints, side: int) -> Tensor:
    """(n, 4) crops -> thumbnails as the plugin would see them."""
    image = crops.picture(torch.from_numpy(index.ravel()).to(crops.device))
    theta = torch.tensor([[CROP_OF_STORED, 0, 0], [0, CROP_OF_STORED, 0]], device=image.device)
    size = [len(image), 3, side // 2, side // 2]
    grid = F.affine_grid(theta[None].expand(len(image), 2, 3), size, align_corners=False)
    return tiled(sampled(image, grid))
