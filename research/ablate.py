"""What each part buys: variants of the shipped recipes, each trained alike and judged on the same clips.

    python -m research.ablate POOL VAL [BLENDS] --work WORK [--only NAME ...]

Every variant sees the same number of images from the same pool with the same seed, so that rows of one
plugin differ in the named switch alone. The budget is small: read the differences, not the heights.
`leave-out` rows train without a family of forging tools and are judged on it: what carries over to a
tool that was never seen. A variant whose result is in WORK is not trained again. One table a set.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from research.judging.judge import JUDGED, JudgedClip, judge
from research.judging.scored import QUALITIES, ScoredClip, scored
from research.judging.tables import auc_table
from research.pools.validation_set import CropSet
from research.remake_bundles import SHIPPED
from trainers.bundles.load_bundle import load_from_folder
from trainers.config import SMALL, load_config
from unmask.frozen import Frozen


class Variant(Frozen):
    """One row: a shipped recipe with switches turned."""

    name: str
    plugin: str
    changes: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()


#: To train each variant on: seven to eight minutes of one core.
IMAGES = 9_600
RECIPES = SMALL
_PLAIN = (
    "architecture.use_noise_stream=false",
    "architecture.use_lem=false",
    "loss.beta=0.0",
    "loss.gamma=0.0",
)
_BOTH_KINDS = (
    "data.leave_out=[]",
    "synthetic.self_blend=0.45",
    "synthetic.swap=0.25",
    "synthetic.generated=0.3",
)
_LITE0 = (
    "architecture.backbone=efficientnet_lite0",
    "architecture.width=1.0",
    "architecture.normalize=imagenet",
    "pretrained=true",
)
VARIANTS = (
    Variant(name="sola", plugin="sola"),
    Variant(name="sola on EfficientNet-Lite0", plugin="sola", changes=_LITE0),
    Variant(
        name="sola on EfficientNet-Lite0, with differences",
        plugin="sola",
        changes=(*_LITE0, "architecture.delta_abs=true"),
    ),
    Variant(name="sola without ASRM", plugin="sola", changes=("architecture.use_asrm=false",)),
    Variant(name="sola without LEM", plugin="sola", changes=("architecture.use_lem=false",)),
    Variant(name="sola, weak", plugin="sola", changes=("loss.mode=weak",)),
    Variant(name="plain CNN, same trunk as sola", plugin="sola", changes=_PLAIN),
    Variant(name="efficientnet_fpn", plugin="efficientnet_fpn"),
    Variant(
        name="efficientnet_fpn without map branch (plain CNN)",
        plugin="efficientnet_fpn",
        changes=("architecture.use_map_branch=false", "loss.map_weight=0.0"),
    ),
    Variant(
        name="efficientnet_fpn, random start",
        plugin="efficientnet_fpn",
        changes=("pretrained=false",),
    ),
    Variant(name="one network for both kinds", plugin="efficientnet_fpn", changes=_BOTH_KINDS),
    Variant(name="pasted, leave-out swap", plugin="efficientnet_fpn", leave_out=("swap",)),
    Variant(name="pasted, leave-out lipsync", plugin="efficientnet_fpn", leave_out=("lipsync",)),
    Variant(
        name="pasted, blends alone", plugin="efficientnet_fpn", changes=("synthetic.share=1.0",)
    ),
    Variant(name="generated_faces", plugin="generated_faces"),
    Variant(
        name="generated, leave-out portrait", plugin="generated_faces", leave_out=("portrait",)
    ),
    Variant(name="generated, leave-out reenact", plugin="generated_faces", leave_out=("reenact",)),
    Variant(
        name="generated, traces alone", plugin="generated_faces", changes=("synthetic.share=1.0",)
    ),
)


def train(variant: Variant, pool: Path, run: Path) -> None:
    """Train one variant to the end of its small budget, in a process of its own."""
    recipe = load_config(RECIPES / f"{variant.plugin}.toml", variant.changes)
    changes = (f"steps={IMAGES // recipe.batch}", *variant.changes)
    command = [
        sys.executable, "-m", "trainers.train", "--plugin", variant.plugin, "--data", str(pool),
        "--out", str(run), "--no-val", "--threads", "1",
        *(part for change in changes for part in ("--set", change)),
    ]  # fmt: skip
    if variant.leave_out:
        command += ["--leave-out", *variant.leave_out]
    subprocess.run(command, check=True)


def slug(name: str) -> str:
    """A name as a folder's.

    >>> slug("sola, weak")
    'sola-weak'
    """
    return "-".join("".join(c if c.isalnum() else " " for c in name).split())


def measured(
    variant: Variant, pool: Path, folder: Path, work: Path, qualities: Sequence[str] = ()
) -> list[JudgedClip]:
    """The variant's judged clips; trained and judged only where WORK does not hold them yet."""
    run = work / slug(variant.name)
    kept = run / f"{'-'.join((folder.name, *qualities))}.json"
    if not kept.exists():
        train(variant, pool, run)
        detector = load_from_folder(variant.plugin, run / "last")
        way = SHIPPED[variant.plugin].aggregation
        found = judge(variant.name, detector, CropSet(folder), qualities, way)
        kept.write_bytes(JUDGED.dump_json(tuple(found)))
    return list(JUDGED.validate_json(kept.read_bytes()))


def chosen(only: Sequence[str]) -> tuple[Variant, ...]:
    """The variants of these names, or whose names hold these words; all without words."""
    names = {v.name for v in VARIANTS}
    words = [word for word in only if word not in names]
    return tuple(
        v for v in VARIANTS if not only or v.name in only or any(word in v.name for word in words)
    )


def seeded(variant: Variant, seed: int) -> Variant:
    """The same row drawn anew: how much of a difference is chance."""
    changes = (*variant.changes, f"seed={seed}")
    return variant.model_copy(update={"name": f"{variant.name}, seed {seed}", "changes": changes})


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pool", type=Path)
    parser.add_argument("sets", type=Path, nargs="+", metavar="SET")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD")
    parser.add_argument(
        "--qualities", nargs="*", default=[], choices=QUALITIES, help="default: all"
    )
    parser.add_argument("--seed", type=int, help="another than the recipes', in rows of its own")
    args = parser.parse_args()
    variants = chosen(args.only)
    if args.seed is not None:
        variants = tuple(seeded(variant, args.seed) for variant in variants)
    found: dict[Path, dict[str, list[ScoredClip]]] = {folder: {} for folder in args.sets}
    for variant in variants:
        for folder, systems in found.items():
            clips = measured(variant, args.pool, folder, args.work, args.qualities)
            systems[variant.name] = scored(clips, variant.name)
            print(f"{variant.name}: {len(systems[variant.name])} of {folder} judged", flush=True)
    for folder, systems in found.items():
        print(f"\n{folder.name}:\n\n{auc_table(systems)}")


if __name__ == "__main__":
    main()
