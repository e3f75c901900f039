"""Numbers of every clip's runs, by family of signals.

    python -m research.heldout.signals.extract_signals RUNS --out NUMBERS --groups motion pixels

A clip's file holds one row per run, by family. Clips that are there are left alone; a clip whose runs come later is taken
up by the next call.
"""

import argparse
import warnings
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from research.heldout.signals.families import (
    dinov2_blocks,
    imagenet_layers,
    in_time,
    moves,
    short_cuts,
    stills,
)
from research.heldout.signals.families.face_parts import aligned, inside_frame
from research.heldout.signals.families.shipped_scores import LOOKED, judges
from research.heldout.signals.runs import QUALITIES, SIDE, decoded, read

#: One run at one view, with its frames -> vectors by family.
Rows = Callable[[Any, Any, str, Any], dict[str, Any]]


def motion(_: argparse.Namespace) -> Rows:
    """Landmarks alone."""
    return lambda clip, run, view, frames: {"landmarks": in_time.landmarks(run["mesh"][view])}


def pixels(_: argparse.Namespace) -> Rows:
    """How the pixels of a face that stands still change."""

    def rows(clip: Any, run: Any, view: str, frames: Any) -> dict[str, Any]:
        inside, mesh = inside_frame(run, SIDE), run["mesh"][view]
        still = aligned(frames, mesh, inside)
        return {
            "texture": in_time.texture(still),
            "time spectrum": in_time.time_spectrum(still),
            "flow": in_time.flow(still),
            "against background": in_time.against_background(frames, inside, mesh),
        }

    return rows


def flows(_: argparse.Namespace) -> Rows:
    """Optical flow in the picture."""
    return lambda clip, run, view, frames: {
        "moves": moves.moves(frames, run["mesh"][view], inside_frame(run, SIDE))
    }


def noise(_: argparse.Namespace) -> Rows:
    """Single frames; as found also in the footage's own pixels."""

    def rows(clip: Any, run: Any, view: str, frames: Any) -> dict[str, Any]:
        inside, mesh = inside_frame(run, SIDE), run["mesh"][view]
        found = {
            "co-occurrence": stills.cooccurrence(frames, mesh, inside),
            "spectra": stills.spectra(frames, mesh),
            "dct": stills.dct(frames, mesh, inside),
            "parts": stills.parts(frames, mesh, inside),
        }
        if view == "found":
            own = decoded(run["views"]["native"])[stills.LOOKED]
            own = np.repeat(own, stills.EVERY, axis=0)  # the functions look at some alone
            larger = np.repeat(mesh[stills.LOOKED], stills.EVERY, axis=0) * own.shape[1] / SIDE
            within = inside_frame(run, own.shape[1])
            found["native co-occurrence"] = stills.cooccurrence(own, larger, within)
            found["native dct"] = stills.dct(own, larger, within)
            if own.shape[1] >= 128:
                found["native spectra"] = stills.spectra(own, larger)
        return found

    return rows


def frozen(args: argparse.Namespace) -> Rows:
    """Layers of ImageNet networks."""
    nets = {n: (imagenet_layers.compiled(n), imagenet_layers.widths(n)) for n in args.networks}

    def rows(clip: Any, run: Any, view: str, frames: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, (net, widths) in nets.items():
            values = net(frames[8:20])
            still, change = imagenet_layers.still_and_moving(values)
            path = imagenet_layers.curvature(values, widths)
            found |= {f"{name} layers": still, f"{name} change": change, f"{name} path": path}
        return found

    return rows


def patches(_: argparse.Namespace) -> Rows:
    """Blocks of a vision transformer that was taught without labels."""
    net = dinov2_blocks.compiled()

    def rows(clip: Any, run: Any, view: str, frames: Any) -> dict[str, Any]:
        means = net(frames[dinov2_blocks.LOOKED]).mean(0)
        return {f"DINOv2-S block {n}": m for n, m in zip(dinov2_blocks.BLOCKS, means, strict=True)}

    return rows


def shipped(args: argparse.Namespace) -> Rows:
    """The bundles that are installed."""
    every = judges({p: args.bundles / p / "weights" for p in args.plugins})

    def rows(clip: Any, run: Any, view: str, frames: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for plugin, judge in every.items():
            p, seen = judge(frames[LOOKED])
            found[f"{plugin} p"] = p
            if seen is not None:
                found[f"{plugin} layers"] = np.concatenate([seen.mean(0), seen.std(0)])
        return found

    return rows


def plain(_: argparse.Namespace) -> Rows:
    """Short cuts."""

    def rows(clip: Any, run: Any, view: str, frames: Any) -> dict[str, Any]:
        return short_cuts.plain(clip, run, frames, run["mesh"][view], inside_frame(run, SIDE))

    return rows


GROUPS: dict[str, Callable[[argparse.Namespace], Rows]] = {
    make.__name__: make for make in (motion, pixels, flows, noise, frozen, patches, shipped, plain)
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--groups",
        nargs="+",
        choices=list(GROUPS),
        default=[group for group in GROUPS if group != "patches"],
        help="default: all but patches, which wants a package of its own",
    )
    parser.add_argument("--views", nargs="+", default=list(QUALITIES))
    parser.add_argument("--runs-each", type=int, default=3, help="2: the first and the last")
    parser.add_argument("--backwards", action="store_true", help="a second call beside a first")
    parser.add_argument("--only", type=Path, help="a file that names clips, one a line")
    parser.add_argument("--networks", nargs="+", default=["tf_efficientnet_lite0"])
    parser.add_argument("--bundles", type=Path, default=Path("detect_plugins"))
    parser.add_argument(
        "--plugins", nargs="+", default=["sola", "efficientnet_fpn", "generated_faces"]
    )
    args = parser.parse_args()
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore", RuntimeWarning)  # means of parts that a run does not show
    make = {group: GROUPS[group](args) for group in args.groups}
    named = set(args.only.read_text(encoding="utf-8").split()) if args.only else set()
    paths = sorted(args.runs.glob("*.pkl"), key=lambda p: sha256(p.name.encode()).digest())
    for path in paths[:: -1 if args.backwards else 1]:
        targets = {
            (view, group): args.out / group / view / f"{path.stem}.npz"
            for view in args.views
            for group in args.groups
        }
        targets = {which: target for which, target in targets.items() if not target.exists()}
        clip = read(path) if targets else {}
        if not targets or (named and clip["path"] not in named):
            continue
        runs = clip["runs"] if args.runs_each >= len(clip["runs"]) else clip["runs"][::2]
        for view in args.views:
            found: dict[str, dict[str, list[Any]]] = {g: {} for v, g in targets if v == view}
            for run in runs if found else ():
                frames = decoded(run["views"][view]) if set(found) != {"motion"} else None
                for group, families in found.items():
                    for family, values in make[group](clip, run, view, frames).items():
                        families.setdefault(family, []).append(values)
            for group, families in found.items():
                arrays: dict[str, Any] = {k: np.stack(v) for k, v in families.items()}
                targets[view, group].parent.mkdir(parents=True, exist_ok=True)
                np.savez(targets[view, group], path=clip["path"], **arrays)


if __name__ == "__main__":
    main()
