"""Can each plugin learn 32 images by heart? The first thing to ask of a loss, a network and a loop.

    python -m research.overfit --faces FACES [--plugins sola focus] [--out OUT]

Sixteen faces of the folder and their sixteen blended forgeries, the same for every plugin. Each is
trained by `trainers.train` from its own recipe, with everything off that keeps a network from
learning by heart (augmentation, dropout, averaging of weights) and inputs small enough for two slow
cores. The AUC is that of the bundle which the run left, through the plugin's own prepare and infer:
running statistics that have not caught up, or a view that differs from training's, would show.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from ingest.faces import build_face_detector
from trainers import train
from trainers.bundles.load_bundle import load_from_folder
from trainers.config import SyntheticConfig
from trainers.synthetic.faces_folder import sitter_of
from trainers.synthetic.pairs import Sitter, write_pairs
from trainers.synthetic.pool import Pool, PoolCrop, PoolWriter
from trainers.training.validation import auc
from unmask.errors import ConfigError
from unmask.plugin import FaceCrop
from unmask.settings import Settings

PAIRS = 16
BLENDED = SyntheticConfig(share=1.0, self_blend=0.7, swap=0.3, generated=0.0)
ENDS = 5
"""Steps at either end whose mean loss is shown: one batch alone says little."""


class Lesson(NamedTuple):
    """How long and at what size one plugin is taught."""

    input_px: int
    steps: int
    batch: int = 16
    settings: tuple[str, ...] = ()
    """Further ones, e.g. dropout off."""


LESSONS: Mapping[str, Lesson] = {
    "sola": Lesson(64, 120),
    "lrl": Lesson(96, 200, settings=("architecture.patches=3",)),
    "llsm": Lesson(96, 150),
    "focus": Lesson(64, 500, settings=("optimiser.lr=1e-3",)),
    "efficientnet_fpn": Lesson(
        64, 300, settings=("architecture.head_dropout=0.0", "architecture.map_dropout=0.0")
    ),
}
"""As many steps as the running statistics of batch norm need to catch up with the weights."""
BY_HEART = (
    "augment={flip = 0.0}",
    "data.crop_jitter=[1.0, 1.0]",
    "data.crop_shift=0.0",
    "ema=0.0",
    "precision=fp32",
    "workers=0",
    "synthetic.share=1.0",
    "schedule.warmup_steps=5",
    "eval.every=0",
)


class Learnt(NamedTuple):
    """One plugin's row."""

    plugin: str
    input_px: int
    steps: int
    batch: int
    first_loss: float
    last_loss: float
    auc: float
    margin: float
    """Lowest score of a forgery less the highest of a real: above 0 where the AUC is 1."""
    seconds: float


def overfit(plugin: str, pool: Path, run: Path, lesson: Lesson, *, threads: int = 2) -> Learnt:
    """Train `plugin` on the pairs of `pool`, and ask its bundle about the same images.

    Raises ConfigError where `run` holds another run already: its losses would be mixed in.
    """
    if run.exists():
        raise ConfigError(f"{run} is there already.", fix="Give another --out, or remove it.")
    sets = [
        *BY_HEART,
        f"architecture.input_px={lesson.input_px}",
        f"batch={lesson.batch}",
        f"steps={lesson.steps}",
        f"eval.checkpoint_every={lesson.steps}",
        *lesson.settings,
    ]
    started = time.monotonic()
    train.main(
        ["--plugin", plugin, "--data", str(pool), "--out", str(run), "--no-val",
         "--log-every", "1", "--threads", str(threads),
         *(word for text in sets for word in ("--set", text))]
    )  # fmt: skip
    seconds = time.monotonic() - started
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [float(json.loads(line)["loss"]) for line in lines]
    real, fake = scores(plugin, run / "last", Pool(pool, "train"))
    return Learnt(
        plugin=plugin,
        input_px=lesson.input_px,
        steps=lesson.steps,
        batch=lesson.batch,
        first_loss=float(np.mean(losses[:ENDS])),
        last_loss=float(np.mean(losses[-ENDS:])),
        auc=auc(real, fake),
        margin=float(fake.min() - real.max()),
        seconds=seconds,
    )


def scores(
    plugin: str, bundle: Path, pool: Pool
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64]], ...]:
    """Scores of the pool's reals and of its forgeries, as a worker would get them."""
    detector = load_from_folder(plugin, bundle)
    crops = list(pool)
    opinions = detector.interpret(
        detector.infer(detector.prepare([_handed(crop) for crop in crops]).images)
    )
    p = np.array([opinion.p for opinion in opinions], np.float64)
    label = np.array([crop.record.label for crop in crops])
    return p[label == 0], p[label == 1]


def _handed(crop: PoolCrop) -> FaceCrop:
    x0, y0, x1, y1 = (v * crop.record.side for v in crop.record.face)
    return FaceCrop(
        pixels=crop.pixels, box=(x0, y0, x1, y1), crop_to_frame=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    )


def pairs_of(faces: Path, out: Path, *, seed: int = 0) -> None:
    """Write sixteen pairs of different people in `faces` as a pool. Raises ConfigError."""
    settings = Settings()
    detector = build_face_detector(settings.face_detector, settings)
    # Twice as many: a swap takes a second person, who should not sit for a pair too.
    looked_at = (sitter_of(path, detector) for path in sorted(faces.rglob("*.jpg")))
    sitters = list(itertools.islice((s for s in looked_at if isinstance(s, Sitter)), 2 * PAIRS))
    if len(sitters) < PAIRS:
        raise ConfigError(
            f"{len(sitters)} faces found in {faces}, {PAIRS} are needed.",
            fix="Give --faces a folder of JPEG portraits.",
        )
    queue = itertools.cycle(sitters)
    with PoolWriter(out, "train") as writer:
        write_pairs(writer, lambda _: next(queue), PAIRS, np.random.default_rng(seed), BLENDED)


def table(rows: Sequence[Learnt]) -> Table:
    """One row per plugin; losses are means over the first and the last five steps."""
    made = Table(
        "plugin", "input px", "steps x batch", "first loss", "last loss", "AUC", "margin", "seconds",
        title=f"{PAIRS} real and {PAIRS} forged images learnt by heart",
    )  # fmt: skip
    for row in rows:
        made.add_row(
            row.plugin, str(row.input_px), f"{row.steps} x {row.batch}", f"{row.first_loss:.3f}",
            f"{row.last_loss:.3f}", f"{row.auc:.4f}", f"{row.margin:+.3f}", f"{row.seconds:.0f}",
        )  # fmt: skip
    return made


def main(argv: Sequence[str] | None = None) -> None:
    """Command line. Exits with 1 where a loss did not fall or an AUC is under 1."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True, help="folder of portraits")
    parser.add_argument("--plugins", nargs="+", default=list(LESSONS), choices=list(LESSONS))
    parser.add_argument("--out", type=Path, help="keep runs and pool here")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    rows: list[Learnt] = []
    with tempfile.TemporaryDirectory() as scratch:
        out: Path = args.out or Path(scratch)
        if not (out / "pool").exists():
            pairs_of(args.faces, out / "pool")
        for plugin in args.plugins:
            row = overfit(plugin, out / "pool", out / plugin, LESSONS[plugin], threads=args.threads)
            rows.append(row)
            print(row, flush=True)
    Console(width=100).print(table(rows))
    if any(row.auc < 1.0 or row.last_loss >= row.first_loss for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
