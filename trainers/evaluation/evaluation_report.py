"""An evaluation as people read it: markdown tables, and one figure."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from trainers.evaluation import paper_tables
from trainers.evaluation.paper_tables import Compared, PaperFigure


def markdown(tree: dict[str, Any]) -> str:
    """Every table of an evaluation."""
    weights = tree["weights_sha256"]
    parts = [
        f"# Evaluation of {tree['plugin']}",
        f"Weights `{weights[:12] if weights else 'untrained'}`, engine {tree['engine']}, "
        f"{tree['images_a_second']} images/s on {tree['machine']}; {tree['crops']} crops; "
        f"video scores by {tree['aggregation']}. Intervals are 95 %, over whole videos.",
        "## Frame level\n\n" + _table(tree, "frame"),
        "## Video level\n\n" + _table(tree, "video"),
    ]
    if tree["calibrated"]:
        parts.append("## Calibrated\n\n" + _calibrated(tree["calibrated"]))
    if tree["heatmap"]:
        parts.append("## Heatmaps against masks\n\n" + _heatmap(tree["heatmap"]))
    if tree["robustness"]:
        parts.append("## Robustness, frame AUC\n\n" + _grid(tree["robustness"]))
    if tree["paper"]:
        rows = [
            Compared(
                figure=PaperFigure.model_validate(
                    {k: v for k, v in row.items() if k not in ("ours", "difference")}
                ),
                ours=row["ours"],
            )
            for row in tree["paper"]
        ]
        parts.append("## Beside the paper, per cent, frame level\n\n" + paper_tables.markdown(rows))
    return "\n\n".join(parts) + "\n"


def draw(tree: dict[str, Any], path: Path) -> None:
    """ROC curves, reliability and the robustness grid in one PNG."""
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    roc, reliability, grid = figure.subplots(1, 3)
    videos = tree["videos"]
    for dataset in dict.fromkeys(v["dataset"] for v in videos):
        rows = [v for v in videos if v["dataset"] == dataset]
        fpr, tpr, _ = roc_curve([v["label"] for v in rows], [v["raw"] for v in rows])
        auc = tree["reports"][dataset]["video"]["auc"]["value"]
        roc.plot(fpr, tpr, label=f"{dataset}, AUC {auc:.3f}")
    roc.plot([0, 1], [0, 1], ":", color="grey")
    roc.set(title="ROC, videos", xlabel="false-positive rate", ylabel="true-positive rate")
    roc.legend(loc="lower right", fontsize=8)
    raw = np.array([v["raw"] for v in videos])
    labels = np.array([v["label"] for v in videos], float)
    bins = np.clip((raw * 10).astype(int), 0, 9)
    used = [b for b in range(10) if (bins == b).any()]
    reliability.plot(
        [raw[bins == b].mean() for b in used], [labels[bins == b].mean() for b in used], "o-"
    )
    reliability.plot([0, 1], [0, 1], ":", color="grey")
    reliability.set(title="Reliability, raw video scores", xlabel="score", ylabel="share forged")
    for kind, values in tree["robustness"].items():
        if kind != "clean":
            grid.plot(range(6), [tree["robustness"]["clean"][0], *values], "o-", label=kind)
    grid.set(title="Robustness, frame AUC", xlabel="level", ylabel="AUC")
    if tree["robustness"]:
        grid.legend(fontsize=8)
    else:
        grid.text(0.5, 0.5, "not run", ha="center", va="center")
    figure.savefig(path, dpi=110)


def _table(tree: dict[str, Any], level: str) -> str:
    lines = [
        "| set | real | fake | AUC | AP | EER | ACC at 0.5 | TPR at 1 % FPR | at 0.1 % | ECE |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, report in tree["reports"].items():
        row = report[level]
        cells = " | ".join(
            _estimate(row[key])
            for key in ("auc", "ap", "eer", "acc", "tpr_at_fpr_01", "tpr_at_fpr_001", "ece")
        )
        lines.append(f"| {name} | {row['real']} | {row['fake']} | {cells} |")
    return "\n".join(lines)


def _estimate(row: dict[str, float | None]) -> str:
    if row["low"] is None or row["high"] is None:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def _calibrated(tree: dict[str, Any]) -> str:
    lines = [
        f"Fitted on {tree['fitted_on']}; expected calibration error here {tree['ece']:.3f}.",
        "",
        "| operating point | false alarms here | detected here |",
        "|---|---|---|",
    ]
    for name, rate in tree["false_alarms"].items():
        alarms = "no reals" if rate is None else f"{rate:.3f}"
        lines.append(f"| {name} | {alarms} | {tree['detected'][name]:.3f} |")
    return "\n".join(lines)


def _heatmap(row: dict[str, Any]) -> str:
    if not row["samples"]:
        return f"No forged crop has a mask with forged pixels ({row['skipped_empty']} are empty)."
    return (
        f"{row['samples']} forged crops with masks ({row['skipped_empty']} empty, left out): pixel "
        f"AUC {row['pixel_auc']:.3f}, IoU {row['iou']:.3f} at {row['threshold']:g}, hottest cell on "
        f"the mask {100 * row['pointing']:.0f} %."
    )


def _grid(grid: dict[str, list[float]]) -> str:
    lines = ["| distortion | 1 | 2 | 3 | 4 | 5 | mean |", "|---|---|---|---|---|---|---|"]
    for kind, values in grid.items():
        cells = [f"{v:.3f}" for v in values] + [""] * (5 - len(values))
        lines.append(f"| {kind} | {' | '.join(cells)} | {np.mean(values):.3f} |")
    return "\n".join(lines)
