"""The training pool of the shipped bundles, by one command from the research data.

    python -m research.pools.build_pool --research-data ../shared/data --out POOL

Clips of both splits through the codec ladder, small autoencoders fitted on the real faces (for
generators' traces), then pairs of a real face and its forgery. About an hour of one core, shared by
`--jobs` processes. Each of `PARTS` parts is drawn from a seed of its own, so that the pool does not
depend on how many processes made it.
"""

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ingest.faces import FaceDetector, build_face_detector
from research.pools.clip_crops import write_clip
from research.pools.research_data import DataFile, Split, read_data
from trainers.config import SyntheticConfig
from trainers.synthetic import autoencoder
from trainers.synthetic.codec import draw_passage, passed
from trainers.synthetic.faces_folder import at_random_size, sitter_of
from trainers.synthetic.forge import Face
from trainers.synthetic.pairs import Sitter, write_pairs
from trainers.synthetic.pool import Pool, PoolWriter
from trainers.synthetic.warps import region_mask
from unmask.settings import Settings

SPLITS: tuple[Split, ...] = ("train", "val")
PARTS = 8
PAIRS = {"train": 12000, "val": 400}
STILLS_SHARE = 0.38
GAN_CROPS = {"train": 250, "val": 40}
MIX = SyntheticConfig(share=0.5, self_blend=0.46, swap=0.24, generated=0.30, codec=1.0)
AUTOENCODER_STEPS = 350
AUTOENCODER_THREADS = 2
"""Fixed, whatever the machine has: floating-point sums, and so the pool's bytes, depend on it."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--research-data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    parts = [(split, part) for split in SPLITS for part in range(PARTS)]
    with ProcessPoolExecutor(args.jobs, get_context("spawn")) as crew:
        for made in crew.map(partial(write_clips, args.research_data, args.out), parts):
            print(made, flush=True)
        nets = args.out / "autoencoders.safetensors"
        fit_autoencoders(Pool(args.out, "train-clips"), nets)
        for made in crew.map(partial(write_part, args.research_data, args.out), parts):
            print(made, flush=True)


def write_clips(data: Path, out: Path, part: tuple[Split, int]) -> str:
    """Crops of every `PARTS`-th clip of a split; what was made, in words."""
    split, number = part
    room = _Room(data)
    clips = [f for f in room.files if f.split == split and f.path.startswith("videos/")]
    with PoolWriter(out, f"{split}-clips-{number}") as writer:
        for file in clips[number::PARTS]:
            if not write_clip(writer, data, file, room.detector):
                print(f"{file.path}: no face of a size to train on", flush=True)
    return f"{split} clips, part {number + 1} of {PARTS}: {writer.count} crops"


def write_part(data: Path, out: Path, part: tuple[Split, int]) -> str:
    """A share of a split's pairs and GAN pictures; what was made, in words."""
    split, number = part
    torch.set_num_threads(1)
    room = _Room(data)
    rebuilds = [net.redraw for net in autoencoder.load_all(out / "autoencoders.safetensors")]
    draw = Drawer(Pool(out, f"{split}-clips"), data, room.files, split, room.detector)
    rng = np.random.default_rng([7, SPLITS.index(split), number])
    pairs, gans = PAIRS[split] // PARTS, GAN_CROPS[split] // PARTS
    with PoolWriter(out, f"{split}-pairs-{number}") as writer:
        pictures = [data / f.path for f in room.files if f.family == "gan" and f.split == split]
        write_gans(writer, pictures, gans, room.detector, rng)
        write_pairs(writer, draw, pairs, rng, MIX, rebuilds=rebuilds, first_number=number * pairs)
    return f"{split} pairs, part {number + 1} of {PARTS}: {pairs} pairs"


class _Room:
    """What each process needs of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        cv2.setNumThreads(1)

    @cached_property
    def files(self) -> list[DataFile]:
        return read_data(self.data)

    @cached_property
    def detector(self) -> FaceDetector:
        yunet = f"onnx:{self.data / 'weights' / 'yunet_n_640_640.onnx'}"
        return build_face_detector(yunet, Settings())


class Drawer:
    """Draws a real face: a still, or a frame of a clip with people drawn evenly."""

    def __init__(
        self,
        clips: Pool,
        data: Path,
        files: list[DataFile],
        split: Split,
        detector: FaceDetector,
    ) -> None:
        self._clips, self._detector = clips, detector
        self._people: dict[str, list[int]] = {}
        for index, record in enumerate(clips.records):
            if record.label == 0 and record.quality in ("found", "crf18", "crf21"):
                self._people.setdefault(record.person, []).append(index)
        self._names = sorted(self._people)
        self._stills = [
            data / f.path
            for f in files
            if f.split == split and f.label == 0 and not f.path.startswith("videos/")
        ]
        self._found: dict[Path, Sitter | str] = {}

    def __call__(self, rng: np.random.Generator) -> Sitter:
        while self._stills and rng.random() < STILLS_SHARE:
            path = self._stills[int(rng.integers(len(self._stills)))]
            if path not in self._found:
                self._found[path] = sitter_of(path, self._detector)
            sitter = self._found[path]
            if isinstance(sitter, Sitter):
                return at_random_size(sitter, rng)
        name = self._names[int(rng.integers(len(self._names)))]
        crop = self._clips[self._people[name][int(rng.integers(len(self._people[name])))]]
        x0, y0, x1, y1 = (v * crop.record.side for v in crop.record.face)
        face = Face(pixels=np.array(crop.pixels), box=(x0, y0, x1, y1))
        return Sitter(face=face, person=name, source=crop.record.source)


def write_gans(
    writer: PoolWriter,
    paths: list[Path],
    count: int,
    detector: FaceDetector,
    rng: np.random.Generator,
) -> None:
    """Whole-face GAN pictures, through the same resizing and codec as the real stills."""
    for _ in range(count):
        path = paths[int(rng.integers(len(paths)))]
        sitter = sitter_of(path, detector)
        if isinstance(sitter, str):
            continue
        face = at_random_size(sitter, rng).face
        side = face.pixels.shape[0]
        sent = passed(face.pixels, passage := draw_passage(rng))
        square = min(sent.shape[:2])
        writer.add(
            sent[:square, :square],
            region_mask(face.geometry, "face", side, rng),
            label=1,
            family="gan",
            method="StyleGAN2",
            source=path.name,
            person=path.stem,
            quality=f"{passage.kind}{passage.quality or ''}",
            extent="whole",
            face=[v / side for v in face.box],
        )


def fit_autoencoders(pool: Pool, path: Path) -> None:
    """One small autoencoder a design, on patches of the real clips."""
    torch.set_num_threads(AUTOENCODER_THREADS)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    reals = [
        i
        for i, r in enumerate(pool.records)
        if r.label == 0 and r.quality == "found" and r.side >= 140
    ]

    def patches(size: int = 96, batch: int = 6) -> Iterator[Tensor]:
        while True:
            cut = []
            for index in rng.choice(reals, batch):
                pixels = pool[int(index)].pixels
                y, x = rng.integers(pixels.shape[0] - size, size=2)
                cut.append(pixels[y : y + size, x : x + size])
            yield torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float() / 255.0

    nets = []
    for kind, halvings in autoencoder.DESIGNS:
        net = autoencoder.Autoencoder(kind, halvings)
        error = autoencoder.fit(net, patches(), steps=AUTOENCODER_STEPS)
        print(f"autoencoder {kind}, {halvings} halvings: mean error {255 * error:.1f} grey levels")
        nets.append(net)
    autoencoder.save_all(nets, path)


if __name__ == "__main__":
    main()
