"""What a bundle is worth, on prepared shards and any engine.

    python -m trainers.evaluate --bundle BUNDLE --shards shards/ffpp-c23-test shards/celebdf-test \\
        --engine openvino --precision bf16 --config-name lrl-ffpp-c23 --robustness 2 --out EVAL

`--dataset KEY --root TREE` cuts the shards first, into EVAL/shards. Writes evaluation.json (figures, and the video scores that calibrate.py reads), evaluation.md and
evaluation.png. Frame and video level, method by method and data set by data set; heatmaps against
masks; the robustness grid; the paper's tables beside ours.
"""

import argparse
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import structlog

from trainers.bundles.load_bundle import load_from_folder
from trainers.calibrate import apply
from trainers.datasets import READERS, Split
from trainers.evaluation import metrics, paper_tables
from trainers.evaluation.evaluation_report import draw, markdown
from trainers.evaluation.robustness import DISTORTIONS, LEVELS, distort
from trainers.evaluation.score_crops import (
    CropScores,
    aggregation_of,
    map_pairs,
    score_crops,
    spread_over_videos,
    video_scores,
)
from trainers.evaluation.scores import VideoScore
from trainers.prepare import Plan, prepare
from trainers.shards.files import ShardSet, write_json
from unmask.bundle import BundleCard
from unmask.errors import ConfigError
from unmask.plugin import Detector
from unmask.settings import EngineName, Precision, Settings
from workers.engines import best_engine
from workers.scoring.mirror import MirrorAverage
from workers.scoring.scorer import Infers
from workers.verdicts.arithmetic.track_score import METHODS

log = structlog.get_logger(__name__)


def evaluate(
    detector: Detector,
    engine: Infers,
    shards: ShardSet,
    *,
    config_name: str = "",
    robustness_frames: int = 0,
    rounds: int = 500,
    aggregation: str | None = None,
) -> dict[str, Any]:
    """Every figure as one JSON tree. Raises ConfigError where a data set has one class only."""
    scored = score_crops(shards, range(len(shards)), detector, engine)
    aggregation = aggregation or aggregation_of(detector)
    videos = video_scores(scored, aggregation)
    reports = {
        name: _report(scored, videos, dataset, method, rounds)
        for name, dataset, method in _sets(scored)
    }
    card = detector.card
    calibrated = _calibrated(videos, card)
    maps, masks = map_pairs(scored)
    threshold = card.heatmap_threshold if card else 0.5
    heatmap = metrics.heatmap_report(maps, masks, threshold) if maps else None
    grid = robustness(shards, detector, engine, robustness_frames) if robustness_frames else {}
    ours = paper_units(reports, grid)
    tables = paper_tables.side_by_side(config_name, ours) if config_name else []
    tree: dict[str, Any] = {
        "plugin": detector.manifest.key,
        "weights_sha256": card.sha256 if card else None,
        "engine": engine.name,
        "machine": f"{platform.machine()}, {platform.system()}",
        "aggregation": aggregation,
        "data_manifest_sha256": shards.manifest_sha256,
        "crops": len(scored.records),
        "images_a_second": round(len(scored.records) / max(scored.seconds, 1e-9), 1),
        "reports": reports,
        "calibrated": calibrated,
        "heatmap": heatmap.model_dump() if heatmap else None,
        "robustness": grid,
        "paper": [
            row.figure.model_dump() | {"ours": row.ours, "difference": row.difference}
            for row in tables
        ],
        "videos": [video.model_dump() for video in videos],
    }
    tree["headline"] = headline(tree)
    return tree


def robustness(
    shards: ShardSet, detector: Detector, engine: Infers, frames: int
) -> dict[str, list[float]]:
    """Frame AUC of each distortion at levels 1 to 5, and of the same crops undistorted.

    `frames` crops of every video take part: the whole grid is 36 passes.
    """
    indices = spread_over_videos(shards, frames)
    clean = score_crops(shards, indices, detector, engine, with_maps=False)
    labels = np.asarray(clean.labels, float)
    grid = {"clean": [metrics.auc(labels, np.asarray(clean.p))]}
    for kind in DISTORTIONS:
        grid[kind] = []
        for level in LEVELS:
            scored = score_crops(
                shards,
                indices,
                detector,
                engine,
                change=lambda pixels, i, k=kind, n=level: distort(pixels, k, n, seed=i),  # type: ignore[misc]
                with_maps=False,
            )
            grid[kind].append(metrics.auc(labels, np.asarray(scored.p)))
        log.info("robustness.measured", kind=kind, auc=[round(v, 4) for v in grid[kind]])
    return grid


def headline(tree: dict[str, Any]) -> dict[str, float]:
    """The few figures that go into a bundle's card."""
    figures: dict[str, float] = {}
    for name, report in tree["reports"].items():
        if "/" not in name:
            figures[f"{name} video AUC"] = report["video"]["auc"]["value"]
            figures[f"{name} frame AUC"] = report["frame"]["auc"]["value"]
            figures[f"{name} video EER"] = report["video"]["eer"]["value"]
    if tree["heatmap"] and tree["heatmap"]["pixel_auc"] is not None:
        figures["heatmap pixel AUC"] = tree["heatmap"]["pixel_auc"]
    for name, grid in tree["robustness"].items():
        figures[f"frame AUC, {name}"] = float(np.mean(grid))
    if tree["calibrated"]:
        figures["video ECE, calibrated"] = tree["calibrated"]["ece"]
    return {name: round(float(value), 4) for name, value in figures.items()}


def _sets(scored: CropScores) -> list[tuple[str, str, str | None]]:
    """(name, data set, method): each data set whole, then each method against all its reals."""
    methods: dict[str, list[str]] = {}
    for record in scored.records:
        found = methods.setdefault(record.dataset, [])
        if record.label and record.method not in found:
            found.append(record.method)
    sets: list[tuple[str, str, str | None]] = []
    for dataset, names in methods.items():
        sets.append((dataset, dataset, None))
        sets += [(f"{dataset}/{name}", dataset, name) for name in sorted(names)]
    return sets


def _report(
    scored: CropScores, videos: list[VideoScore], dataset: str, method: str | None, rounds: int
) -> dict[str, Any]:
    def belongs(name: str, of: str, label: int) -> bool:
        return name == dataset and (method is None or not label or of == method)

    rows = [i for i, r in enumerate(scored.records) if belongs(r.dataset, r.method, r.label)]
    kept = [v for v in videos if belongs(v.dataset, v.method, v.label)]
    labels = [scored.records[i].label for i in rows]
    if len(set(labels)) < 2:
        raise ConfigError(
            f"{dataset}{'/' + method if method else ''}: {len(rows)} crops of one class only.",
            fix="Prepare the other class too; an AUC needs both.",
        )
    frame = metrics.report(
        labels,
        [scored.p[i] for i in rows],
        groups=[scored.records[i].video for i in rows],
        rounds=rounds,
    )
    video = metrics.report([v.label for v in kept], [v.raw for v in kept], rounds=rounds)
    mean = [v.mean for v in kept if v.mean is not None]
    by_mean = metrics.auc(np.array([v.label for v in kept], float), np.asarray(mean))
    return {
        "frame": frame.model_dump(),
        "video": video.model_dump(),
        "video_mean_auc": by_mean,
    }


def _calibrated(videos: list[VideoScore], card: BundleCard | None) -> dict[str, Any] | None:
    """Calibration error and false alarms at the bundle's thresholds, on these videos."""
    if card is None or card.calibration is None:
        return None
    p = apply(card.calibration, [v.raw for v in videos])
    labels = np.array([v.label for v in videos], float)
    return {
        "fitted_on": card.calibration.fitted_on,
        "ece": metrics.ece(labels, p),
        "false_alarms": {n: metrics.fpr_at(labels, p, t) for n, t in card.thresholds.items()},
        "detected": {
            name: float(np.mean(p[labels > 0.5] >= t)) for name, t in card.thresholds.items()
        },
    }


def paper_units(
    reports: dict[str, Any], grid: dict[str, list[float]]
) -> dict[tuple[str, str], float]:
    """Frame-level AUC, ACC and EER in per cent, keyed as paper_tables asks for them.

    The grid counts as a data set's, "AUC blur" the mean over its levels, where there is one alone.
    """
    whole = [name for name in reports if "/" not in name]
    robust = {
        (whole[0], f"AUC {kind}"): 100.0 * float(np.mean(values))
        for kind, values in (grid.items() if len(whole) == 1 else ())
    }
    return robust | {
        (name, metric): 100.0 * report["frame"][metric.lower()]["value"]
        for name, report in reports.items()
        for metric in ("AUC", "ACC", "EER")
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="folder with bundle.json")
    parser.add_argument("--shards", type=Path, nargs="+", default=[])
    parser.add_argument(
        "--dataset", choices=sorted(READERS), help="instead of shards: cut them now"
    )
    parser.add_argument("--root", type=Path, help="of --dataset")
    parser.add_argument("--split", choices=("train", "val", "test", "all"), default="test")
    parser.add_argument("--compression", default="")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--face-detector", default="auto")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of the engine; default: one per core")
    parser.add_argument("--config-name", default="", help="config whose paper tables to compare")
    parser.add_argument("--robustness", type=int, default=0, metavar="FRAMES")
    parser.add_argument("--bootstrap", type=int, default=500, metavar="ROUNDS")
    parser.add_argument(
        "--aggregation", choices=tuple(METHODS), help="default: the bundle's, else the policy's"
    )
    args = parser.parse_args(argv)
    folders = list(args.shards)
    if args.dataset and args.root:
        plan = Plan(
            dataset=args.dataset,
            root=str(args.root.expanduser().resolve()),
            split=cast(Split, args.split),
            compression=args.compression,
            frames=args.frames,
            face_detector=args.face_detector,
        )
        folders.append(args.out / "shards")
        prepare(plan, folders[-1])
    if not folders:
        parser.error("give --shards, or --dataset and --root")
    plugin = json.loads((args.bundle / "bundle.json").read_text(encoding="utf-8"))["plugin"]
    detector = load_from_folder(plugin, args.bundle)
    settings = Settings(
        engine=cast(EngineName, args.engine),
        precision=cast(Precision, args.precision),
        device=args.device,
        threads=args.threads,
    )
    engine, reasons = best_engine(detector, device=args.device, settings=settings)
    for reason in reasons:
        print(f"note: {reason.message}")
    # As the workers will have it: a calibration is of the scores that they write down.
    judge: Infers = MirrorAverage(engine) if settings.mirror_average else engine
    trained_as = str(
        (detector.card.training if detector.card else {}).get("config", {}).get("name", "")
    )
    tree = evaluate(
        detector,
        judge,
        ShardSet(*folders),
        config_name=args.config_name or trained_as,
        robustness_frames=args.robustness,
        rounds=args.bootstrap,
        aggregation=args.aggregation,
    )
    engine.close()
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "evaluation.json", tree)
    text = markdown(tree)
    (args.out / "evaluation.md").write_text(text, encoding="utf-8")
    draw(tree, args.out / "evaluation.png")
    print(text)


if __name__ == "__main__":
    main()
