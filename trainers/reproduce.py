"""One command per printed table: from the official trees to ours beside the paper's.

    python -m trainers.reproduce lrl-ffpp-c23 --data ROOT [--seeds 3] [--fetch-pretrained]
    python -m trainers.reproduce lrl-ffpp-c23 --dry-run

NAME is a config of trainers/configs; ROOT (or $UNMASK_DATA) holds the data sets' folders. Shards are
cut, a teacher is trained and its maps are drawn where the config learns from maps, the network is
trained, each test set is cut and judged, and OUT/NAME/table.md says by how much each figure differs
and whether that counts as reproduced. Every part is kept: run the same command again after a kill.
The weights judged are the last step's, not the best of validation: no paper says that it chose.
"""

import argparse
import json
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from detect_plugins.catalogue import load_catalogue
from trainers import train
from trainers.bundles.load_bundle import load_from_folder
from trainers.config import CONFIGS, FpnLoss, TrainConfig, load_config
from trainers.evaluate import evaluate, paper_units
from trainers.evaluation.paper_tables import expected_of, seeds_table
from trainers.export_maps import export_maps
from trainers.feed.map_sources import ABOUT_FILE
from trainers.feed.shard_pool import config_pool
from trainers.plan import training_plan
from trainers.prepare import Plan, plans_of, prepare
from trainers.shards.files import MANIFEST, ShardSet, write_json
from unmask.bundle import read_card
from unmask.errors import ConfigError
from unmask.settings import Settings
from workers.engines import best_engine


def reproduce(name: str, args: argparse.Namespace) -> str:
    """Every part of one config that is not done yet; returns the table as Markdown."""
    config = load_config(CONFIGS / f"{name}.toml", args.set)
    out = args.out / name
    for part in ("train", "val"):
        for plan, folder in plans_of(config, part):
            _prepared(plan, folder, args)
    # Test sets are cut before hours of training: what is missing is said now. The rest goes on.
    missing = []
    for plan, folder in plans_of(config, "test"):
        try:
            _prepared(plan, folder, args)
            _both_classes(folder)
        except ConfigError as error:
            missing.append(f"Not run on {plan.dataset}: {error.message}")
            print(missing[-1])
    figures = []
    for seed in range(config.seed, config.seed + args.seeds):
        run = out / f"seed-{seed}"
        bundle = _trained(config, args, run, seed, args.set)
        figures.append(_judged(config, bundle, run / "tests", args))
    table = "\n\n".join([seeds_table(name, figures), *missing])
    (out / "table.md").write_text(table + "\n", encoding="utf-8")
    return table


def _prepared(plan: Plan, folder: Path, args: argparse.Namespace) -> None:
    """Finished shards are taken as they are; `prepare` goes on with others."""
    if not (folder / MANIFEST).is_file():
        wanted = plan.model_copy(update={"face_detector": args.face_detector})
        prepare(wanted, folder, workers=args.workers)


def _both_classes(folder: Path) -> None:
    """Raises ConfigError for shards of one class, which are removed: the other's videos were not found."""
    labels = {record.label for record in ShardSet(folder).records}
    if len(labels) < 2:
        shutil.rmtree(folder)
        raise ConfigError(
            f"its {'real' if 1 in labels else 'forged'} videos were not found.",
            fix="Put the whole data set under --data, and run the same command again.",
        )


def _trained(
    config: TrainConfig, args: argparse.Namespace, run: Path, seed: int, settings: Sequence[str]
) -> Path:
    """The bundle of `config`'s last step, trained to it if need be."""
    steps = min(config.steps, args.max_steps or config.steps)
    bundle = run / "last"
    if (bundle / "bundle.json").is_file() and _steps(bundle, config.plugin) >= steps:
        return bundle
    maps = _maps(config, args, run, seed)
    words = ["--config", str(CONFIGS / f"{config.name}.toml"), "--out", str(run)]
    for setting in (*settings, f"seed={seed}", *([f"loss.maps={maps}"] if maps else [])):
        words += ["--set", setting]
    words += ["--max-steps", str(steps), "--threads", str(args.threads)]
    train.main([*words, *(["--fetch-pretrained"] if args.fetch_pretrained else [])])
    # train.py obeys SIGTERM by ending well: the table is then not to be gone on with.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if _steps(bundle, config.plugin) < steps:
        raise ConfigError(
            f"{config.name} was stopped at step {_steps(bundle, config.plugin)} of {steps}.",
            fix="Run the same command again: it goes on from there.",
        )
    return bundle


def _maps(config: TrainConfig, args: argparse.Namespace, run: Path, seed: int) -> Path | None:
    """The teacher's maps on this config's own shards, drawn if need be; None where it has no teacher."""
    loss = config.loss
    if not isinstance(loss, FpnLoss) or not loss.teacher:
        return None
    maps = run / "maps"
    if not (maps / ABOUT_FILE).is_file():
        teacher = load_config(CONFIGS / f"{loss.teacher}.toml", args.teacher_set)
        for part in ("train", "val"):
            for plan, folder in plans_of(teacher, part):
                _prepared(plan, folder, args)
        bundle = _trained(
            teacher, args, args.out / loss.teacher / f"seed-{seed}", seed, args.teacher_set
        )
        detector = load_from_folder(teacher.plugin, bundle)
        export_maps(detector, config_pool(config, "train"), maps, drawn_by=loss.drawn_by)
    return maps


def _judged(
    config: TrainConfig, bundle: Path, out: Path, args: argparse.Namespace
) -> dict[tuple[str, str], float]:
    """Per cent by (test, metric): each test set by itself, those of these weights kept."""
    robust = {f.test for f in expected_of(config.name) if f.metric.startswith("AUC ")}
    sha = read_card(bundle, config.plugin).sha256
    found: dict[tuple[str, str], float] = {}
    engine = detector = None
    for _, folder in plans_of(config, "test"):
        if not (folder / MANIFEST).is_file():
            continue
        kept = out / f"{folder.name}.json"
        tree = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
        if tree.get("weights_sha256") != sha:
            if detector is None or engine is None:
                detector = load_from_folder(config.plugin, bundle, args.device)
                settings = Settings(engine="torch", precision="fp32", device=args.device)
                engine, _ = best_engine(detector, device=args.device, settings=settings)
            shards = ShardSet(folder)
            frames = args.robustness if {r.dataset for r in shards.records} & robust else 0
            tree = evaluate(detector, engine, shards, robustness_frames=frames, rounds=args.rounds)
            out.mkdir(parents=True, exist_ok=True)
            write_json(kept, tree)
        found |= paper_units(tree["reports"], tree["robustness"])
    if engine is not None:
        engine.close()
    return found


def _steps(bundle: Path, plugin: str) -> int:
    return int(read_card(bundle, plugin).training["step"])


def _plan(name: str, args: argparse.Namespace) -> str:
    config = load_config(CONFIGS / f"{name}.toml", args.set)
    manifest = load_catalogue().get(config.plugin).require_manifest()
    text = training_plan(config, manifest, fetch=args.fetch_pretrained)
    teacher = config.loss.teacher if isinstance(config.loss, FpnLoss) else ""
    return text + (f"\n\nFirst its teacher\n\n{_plan(teacher, _taught(args))}" if teacher else "")


def _taught(args: argparse.Namespace) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(args), "set": args.teacher_set})


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    args = _arguments(argv)
    if args.data:
        os.environ["UNMASK_DATA"] = str(args.data.expanduser().resolve())
    for name in args.name:
        if not (CONFIGS / f"{name}.toml").is_file():
            raise ConfigError(f"no config {name!r}.", fix="trainers/configs/ holds one per row.")
        print(_plan(name, args) if args.dry_run else reproduce(name, args))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="+", help="configs of trainers/configs, without .toml")
    parser.add_argument("--data", type=Path, help="folder of the data sets; default: $UNMASK_DATA")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--seeds", type=int, default=1, help="runs of each table; report three")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    parser.add_argument("--fetch-pretrained", action="store_true", help="let timm fetch weights")
    parser.add_argument("--face-detector", default="auto")
    parser.add_argument("--workers", type=int, default=1, help="processes that cut crops")
    parser.add_argument("--threads", type=int, default=2, help="of training on a CPU")
    parser.add_argument("--device", default="auto", help="that judges")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--teacher-set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--max-steps", type=int, help="of every training, for a trial")
    parser.add_argument("--robustness", type=int, default=10, metavar="FRAMES", help="per video")
    parser.add_argument("--rounds", type=int, default=500, help="of the bootstrap")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
