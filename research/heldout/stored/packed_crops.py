"""Packed crops, decoded once and kept whole in the memory of a GPU."""

import argparse
import gzip
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from research.heldout.making.forged_faces import FaceFrame
from research.heldout.making.looks import looks, standardised

SIDE = 256


def unpacked(data: bytes) -> NDArray[np.uint8]:
    """A stored picture as RGB. Raises OSError where it is none."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise OSError("the pack holds a picture that cannot be read")
    return np.ascontiguousarray(np.asarray(image, np.uint8)[..., ::-1])


def _decoded(job: tuple[Path, int, list[tuple[int, int]]]) -> tuple[int, Any]:
    path, first, places = job
    cv2.setNumThreads(1)
    out = np.zeros((len(places), SIDE, SIDE, 3), np.uint8)
    with path.open("rb") as file:
        for n, (offset, length) in enumerate(places):
            file.seek(offset)
            image = unpacked(file.read(length))
            if image.shape[0] != SIDE:
                image = np.asarray(cv2.resize(image, (SIDE, SIDE)), np.uint8)
            out[n] = image
    return first, out


def decode(
    pack: Path, target: Path, workers: int, only: int | None = None, files: int = 99
) -> None:
    """All crops of a pack's first `files` into one .npy of (N, 256, 256, 3); `only`: every n-th, for rehearsals."""
    index = [c for c in read_index(pack)["crops"] if c["file"] < files][:: only or 1]
    shape = (len(index), SIDE, SIDE, 3)
    held = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
    jobs = []
    start = 0
    while start < len(index):
        end = start
        while end < len(index) and end - start < 64 and index[end]["file"] == index[start]["file"]:
            end += 1
        places = [(c["offset"], c["length"]) for c in index[start:end]]
        jobs.append((pack / f"{index[start]['file']}.bin", start, places))
        start = end
    with ProcessPoolExecutor(workers) as pool:
        for first, images in pool.map(_decoded, jobs):
            held[first : first + len(images)] = images
    held.flush()


def read_index(pack: Path) -> dict[str, Any]:
    """`files` by path and `crops`, one row per picture."""
    with gzip.open(pack / "index.json.gz", "rt") as file:
        found: dict[str, Any] = json.load(file)
    return found


class Crops:
    """`images` (N, 256, 256, 3) uint8 on the device, and one row per crop beside it."""

    def __init__(self, pack: Path, decoded: Path, device: str, only: int | None = None) -> None:
        index = read_index(pack)
        self.files: dict[str, dict[str, Any]] = index["files"]
        self.rows: list[dict[str, Any]] = index["crops"][:: only or 1]
        self.images = torch.from_numpy(np.load(decoded)).to(device)
        self.rows = self.rows[: len(self.images)]
        self.device = device
        self.points = torch.tensor([r["landmarks"] for r in self.rows], device=device)
        masks = np.zeros((len(self.rows), 24, 24), np.float32)
        has = np.zeros(len(self.rows), bool)
        for n, row in enumerate(self.rows):
            if row["mask"]:
                masks[n] = np.asarray(row["mask"], np.float32).reshape(24, 24) / 9.0
                has[n] = True
        self.masks = torch.from_numpy(masks).to(device)
        frame = FaceFrame(self.points, 24)
        outside = (frame.x.square() + frame.y.square()).sqrt() > 1.35
        astray = (self.masks * outside).sum((1, 2)) / self.masks.sum((1, 2)).clamp(min=1e-6)
        # A caption or a hand that moved lies outside the face: then the footage is not in step.
        self.has_mask = torch.from_numpy(has).to(device) & (astray < 0.2)
        self.masks = self.masks * ~outside

        px = torch.tensor([r["face_px"] for r in self.rows], device=device)
        every = torch.arange(len(self.rows), device=device)
        at = torch.split(every, 256)
        self.looks = standardised(
            np.concatenate([looks(self.picture(a)[:, :, 32:-32, 32:-32], px[a]) for a in at])
        )

    def picture(self, index: Tensor) -> Tensor:
        """(B,) -> (B, 3, 256, 256) float in 0..1."""
        return self.images[index].permute(0, 3, 1, 2).float() / 255.0


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Decode a pack's pictures.")
    parser.add_argument("pack", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--files", type=int, default=99)
    args = parser.parse_args()
    decode(args.pack, args.target, args.workers, files=args.files)


if __name__ == "__main__":
    main()
