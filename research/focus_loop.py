"""The FoCus loop in one command: train FoCus on labels, write its maps, teach the pyramid by each map
source, compare (the experiment of the FoCus paper's Table II, at whatever size the machine allows).

    python -m research.focus_loop --data POOL --out OUT [--steps 200]
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from trainers import train
from trainers.bundles.load_bundle import load_from_folder
from trainers.config import SMALL
from trainers.export_maps import export_maps
from trainers.feed.shard_pool import open_pool

SOURCES = ("ssim", "pixel", "pixel-threshold", "focus", "mask")
RECIPES = SMALL


def focus_loop(
    data: Path, out: Path, *, steps: int, overrides: Sequence[str] = (), fpn: Sequence[str] = ()
) -> dict[str, dict[str, float]]:
    """Validation figures of the pyramid by map source. `overrides` are for both networks."""
    both = [word for text in overrides for word in ("--set", text)]
    common = ["--data", str(data), "--max-steps", str(steps), *both]
    teacher = out / "focus"
    train.main(["--plugin", "focus", "--out", str(teacher), "--no-val", *common])
    maps = out / "maps"
    export_maps(load_from_folder("focus", teacher / "last"), open_pool(data, "train"), maps)
    figures: dict[str, dict[str, float]] = {}
    for source in SOURCES:
        run = out / f"fpn-{source}"
        chosen = [f"loss.map_source={source}", f"loss.maps={maps}", "eval.every=0", *fpn]
        sets = [word for text in chosen for word in ("--set", text)]
        train.main(["--plugin", "efficientnet_fpn", "--out", str(run), *common, *sets])
        validation = run / "validation.jsonl"
        lines = validation.read_text(encoding="utf-8").splitlines() if validation.exists() else []
        figures[source] = json.loads(lines[-1]) if lines else {}
    (out / "map_sources.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures


def table(figures: dict[str, dict[str, float]]) -> Table:
    """One row per map source: video AUC over families and qualities, and pooled."""
    made = Table(
        "map source", "video AUC, mean of families", "video AUC, pooled", title="Map sources"
    )
    for source, found in figures.items():
        cells = [f"{found[k]:.3f}" if k in found else "-" for k in ("score", "pooled")]
        made.add_row(source, *cells)
    return made


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="pool or shards")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=200, help="of each network")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args(argv)
    figures = focus_loop(args.data, args.out, steps=args.steps, overrides=args.set)
    Console().print(table(figures))


if __name__ == "__main__":
    main()
