"""One command a shipped bundle, from the research data to the folder that ships.

    python -m trainers.recipes.reproduce sola --research-data ../shared/data --work WORK
    python -m trainers.recipes.reproduce efficientnet_fpn --research-data ../shared/data --work WORK

Each step is skipped where its result is there, so a killed run goes on where it stopped. Hours and
machine of the shipped bundles: docs/reference/weights.md.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

SHIPPED = ("sola", "efficientnet_fpn")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plugin", choices=SHIPPED)
    parser.add_argument("--research-data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, required=True, help="about 10 GB")
    parser.add_argument("--out", type=Path, help="default: WORK/bundles/PLUGIN")
    args = parser.parse_args()
    work: Path = args.work
    pool, val, run = work / "pool", work / "val", work / "runs" / args.plugin
    data = ["--research-data", str(args.research_data)]
    if not (pool / "finished").exists():
        _run("trainers.recipes.build_pool", *data, "--out", str(pool))
        (pool / "finished").touch()
    if not (val / "counts.json").exists():
        _run("trainers.recipes.validation_set", *data, "--out", str(val))
    started = time.monotonic()
    _run("trainers.train", "--plugin", args.plugin, "--data", str(pool), "--out", str(run))
    hours = (time.monotonic() - started) / 3600
    out = args.out or work / "bundles" / args.plugin
    _run(
        "trainers.recipes.ship", str(run), "--checkpoint", "checkpoint", "--set", str(val),
        "--pool", str(pool), *data, "--hours", f"{hours:.2f}", "--out", str(out),
    )  # fmt: skip


def _run(module: str, *arguments: str) -> None:
    print(f"-- {module} {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


if __name__ == "__main__":
    main()
