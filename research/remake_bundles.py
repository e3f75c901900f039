"""The shipped bundles and their figures by one command, from the research data to the folders that ship.

    python -m research.remake_bundles --research-data ../shared/data --work WORK
    python -m research.remake_bundles sola --research-data ../shared/data --work WORK

Pool, validation set, training, calibration; with every shipped plugin asked for also unseen blends, the
combination, and in WORK/tables what research/MADE.md shows, but for the ablations
(`research.ablate`). One thread per step, two steps at once, as the shipped ones ran: floating-point sums
then come out alike on a like machine, and the last lines say whether the bundles are the shipped ones to the
byte. Each step is skipped where its result is there, so a killed run goes on where it stopped. Hours and machine
of the shipped bundles: research/MADE.md.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, TextIO

from detect_plugins.catalogue import load_catalogue
from unmask.bundle import Aggregation, Finds, read_card
from workers.engines.allocator import tuned_environment


class Shipped(NamedTuple):
    """A bundle's part in the combination."""

    weight: float
    finds: Finds
    aggregation: Aggregation = "track-mean-top20"
    prior: float = 0.5
    """Under one half for the one that carries over to strangers least, so that it needs more evidence."""


SHIPPED = {
    "sola": Shipped(0.4, "pasted"),
    "efficientnet_fpn": Shipped(1.0, "pasted"),
    "generated_faces": Shipped(1.0, "generated", "track-lower-quartile", prior=0.38),
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "plugins", nargs="*", metavar="PLUGIN", help=f"default: {', '.join(SHIPPED)}"
    )
    parser.add_argument("--research-data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, required=True, help="about 10 GB")
    parser.add_argument("--jobs", type=int, default=2, help="steps at once (default: 2)")
    args = parser.parse_args()
    plugins = tuple(args.plugins) or tuple(SHIPPED)
    if unknown := set(plugins) - set(SHIPPED):
        parser.error(f"{', '.join(sorted(unknown))} does not ship; {', '.join(SHIPPED)} do")
    work: Path = args.work
    work.mkdir(parents=True, exist_ok=True)
    data = ("--research-data", str(args.research_data))
    _once(work / "pool", "research.pools.build_pool", *data)
    _once(work / "val", "research.pools.validation_set", *data)
    with ThreadPoolExecutor(args.jobs) as crew:
        list(crew.map(partial(_made, work, data), plugins))
        if set(plugins) == set(SHIPPED):
            _judged_together(work, crew)
    print(*(beside_shipped(plugin, work / "bundles" / plugin) for plugin in plugins), sep="\n")


def beside_shipped(plugin: str, bundle: Path) -> str:
    """Whether a bundle made here holds the weights that ship, in words."""
    made, ships = read_card(bundle, plugin), load_catalogue().get(plugin).card(None)
    if ships is not None and made.sha256 == ships.sha256:
        return f"{plugin}: the shipped weights, byte for byte ({made.sha256[:12]})"
    return f"{plugin}: other weights ({made.sha256[:12]}) than ship ({ships and ships.sha256[:12]})"


def _made(work: Path, data: Sequence[str], plugin: str) -> None:
    """One plugin's bundle, trained and calibrated."""
    run, part = work / "runs" / plugin, SHIPPED[plugin]
    _once(
        run, "trainers.train", "--plugin", plugin, "--data", str(work / "pool"), "--no-val",
        "--threads", "1",
    )  # fmt: skip
    _once(
        work / "bundles" / plugin, "research.ship", str(run),
        "--checkpoint", "checkpoint", "--set", str(work / "val"), "--pool", str(work / "pool"),
        *data, "--hours", _finished(run).read_text(encoding="utf-8"),
        "--weight", str(part.weight), "--finds", part.finds,
        "--aggregation", part.aggregation, "--prior", str(part.prior),
    )  # fmt: skip


def _judged_together(work: Path, crew: Executor) -> None:
    """Unseen blends, the combination, and what research/MADE.md says of all that."""
    _once(work / "blends", "research.pools.blend_clips", str(work / "val"))
    bundles = [f"{plugin}={work / 'bundles' / plugin}" for plugin in SHIPPED]
    options = [word for bundle in bundles for word in ("--bundle", bundle)]
    judged = {name: work / f"{name}.json" for name in ("val", "blends")}

    def judge(name: str) -> None:
        _once(judged[name], "research.judging.judge", str(work / name), *bundles, "--blur")

    list(crew.map(judge, judged))
    _once(work / "combinations.json", "research.fit_combination", str(judged["val"]), *options)
    _run(
        "research.judging.state_figures", "--val", str(judged["val"]),
        "--blends", str(judged["blends"]), *options,
    )  # fmt: skip
    reports = {
        "robustness": ("robustness_grid", str(work / "val"), *bundles, "--frames", "2"),
        "heatmaps": ("heatmaps", str(work / "pool"), *bundles),
        "strange": ("strange_inputs", str(work / "val"), *bundles),
        **{name: ("tables", str(out), *options) for name, out in judged.items()},
    }

    def report(name: str) -> None:
        recipe, *arguments = reports[name]
        path = work / "tables" / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            _run(f"research.{recipe}", *arguments, into=file)

    list(crew.map(report, reports))
    _run(
        "research.judging.figure", *map(str, judged.values()), *options,
        "--out", str(work / "tables" / "weights.svg"),
    )  # fmt: skip


def _finished(out: Path) -> Path:
    """Lies beside what a step has made to the end, and holds the hours that it took."""
    return out.with_name(f"{out.name}.finished")


def _once(out: Path, module: str, *arguments: str) -> None:
    if _finished(out).exists():
        return
    started = time.monotonic()
    _run(module, *arguments, "--out", str(out))
    hours = (time.monotonic() - started) / 3600
    _finished(out).write_text(f"{hours:.2f}", encoding="utf-8")


def _run(module: str, *arguments: str, into: TextIO | None = None) -> None:
    print(f"-- {module} {' '.join(arguments)}", flush=True)
    subprocess.run(
        [sys.executable, "-m", module, *arguments], check=True, stdout=into, env=_environment()
    )


def _environment() -> dict[str, str]:
    """One thread, which yields its core where it waits: steps side by side else spin against each other."""
    return {**tuned_environment(), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


if __name__ == "__main__":
    main()
