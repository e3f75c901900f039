"""Does data loading keep up with training? Images per second, and the share of time spent waiting.

    python benchmarks/training.py [--plugin sola] [--data POOL] [--steps 30] [--live]

Trains for a few steps from a pool (made on the spot from a public-domain photo where none is given),
then runs the same steps on one batch held in memory: the ceiling. Prints the ratio. With --live the pool
holds reals alone, and loader processes forge every pair anew while the network trains.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from skimage.data import astronaut

from detect_plugins.catalogue import load_catalogue, load_class
from trainers import train
from trainers.config import SMALL, SyntheticConfig, load_config
from trainers.feed.batches import Batch
from trainers.synthetic.forge import Face
from trainers.synthetic.pairs import Sitter, write_pairs
from trainers.synthetic.pool import PoolWriter
from trainers.training.losses import loss_for
from trainers.training.optimiser import build_optimiser

MIX = SyntheticConfig(share=1.0, self_blend=1.0, swap=0.3, generated=0.3)


def sitter(rng: np.random.Generator) -> Sitter:
    """A face of scikit-image's photo, at a random place and size."""
    side = int(rng.integers(150, 230))
    x, y = (int(v) for v in rng.integers(0, 30, 2))
    pixels = np.ascontiguousarray(astronaut()[y : y + side, 110 + x : 110 + x + side])
    box = (0.25 * side, 0.25 * side, 0.75 * side, 0.75 * side)
    return Sitter(face=Face(pixels=pixels, box=box), person="a", source="a.jpg")


def write_reals(writer: PoolWriter, count: int) -> None:
    """Reals alone, of eight people as far as swapping goes."""
    rng = np.random.default_rng(0)
    for number in range(count):
        face = sitter(rng).face
        side = face.pixels.shape[0]
        writer.add(
            face.pixels, label=0, family="real", method="real",
            source="a.jpg", person=f"p{number % 8}", quality="found", extent="real",
            face=[v / side for v in face.box],
        )  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plugin", default="sola")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--live", action="store_true", help="forge pairs while training")
    parser.add_argument("--workers", type=int, default=1, help="loader processes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = args.data or Path(scratch) / "pool"
        if args.data is None:
            with PoolWriter(data, "train") as writer:
                if args.live:
                    write_reals(writer, 128)
                else:
                    write_pairs(writer, sitter, 64, np.random.default_rng(0), MIX)
        run = Path(scratch) / "run"
        train.main(
            ["--plugin", args.plugin, "--data", str(data), "--out", str(run), "--no-val",
             "--max-steps", str(args.steps), "--log-every", "1", "--threads", str(args.threads),
             "--set", f"workers={args.workers}"]
        )  # fmt: skip
        lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    trained, waited = lines[-1]["img_s"], lines[-1]["wait"]
    ceiling = cached(args.plugin, args.steps, args.threads)
    print(f"{args.plugin}: training {trained:.1f} img/s, data wait {100 * waited:.1f} %")
    print(f"{args.plugin}: one cached batch {ceiling:.1f} img/s, ratio {trained / ceiling:.2f}")


def cached(plugin: str, steps: int, threads: int) -> float:
    """Images per second of the same step on one batch that is already in memory."""
    torch.set_num_threads(threads)
    config = load_config(SMALL / f"{plugin}.toml")
    detector = load_class(load_catalogue().get(plugin))
    architecture = detector.Config.model_validate(config.architecture)
    network = detector.Network(architecture).train().to(memory_format=torch.channels_last)
    optimiser, loss_of = build_optimiser(network, config), loss_for(config.loss, architecture)
    side, half = architecture.input_px, config.batch // 2
    batch = Batch(
        image=torch.randint(0, 256, (config.batch, 3, side, side), dtype=torch.uint8),
        label=torch.tensor([0.0] * half + [1.0] * half),
        mask=torch.zeros(config.batch, 1, side // 2, side // 2, dtype=torch.uint8),
        extent=torch.tensor([0] * half + [1] * half),
    )
    started = 0.0
    for step in range(steps + 1):
        if step == 1:
            started = time.monotonic()
        image, truth = train.on_device(batch, torch.device("cpu"), channels_last=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
            output = network(image)
            loss = loss_of(output.logit, output.aux, truth)["loss"]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return steps * config.batch / (time.monotonic() - started)


if __name__ == "__main__":
    main()
