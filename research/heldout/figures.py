"""Scores of crops -> scores of clips -> what they are worth. Nothing here needs torch."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from research.heldout.folds import BLENDED, KINDS

QUALITIES = ("found", "crf23", "crf32")
Floats = NDArray[np.float64]


class Clip(NamedTuple):
    """One clip at one quality, with one score."""

    path: str
    label: int
    kind: str
    tool: str
    group: str
    quality: str
    score: float
    face_px: float
    fold: int

    @property
    def blended(self) -> bool:
        return self.kind in BLENDED


def clip_scores(
    files: dict[str, Any], rows: Sequence[dict[str, Any]], index: Any, logit: Any
) -> list[Clip]:
    """The mean logit over the moments of each clip and quality. Of runs of neighbours only the last frame counts."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for n, score in zip(np.asarray(index).tolist(), np.asarray(logit).tolist(), strict=True):
        row = rows[n]
        if row["quality"] in QUALITIES and row["step"] == -1:
            found[row["path"], row["quality"]].append((score, row["face_px"]))
    clips = []
    for (path, quality), values in found.items():
        file = files[path]
        scores, px = np.array(values).T
        clips.append(
            Clip(
                path,
                file["label"],
                file["kind"],
                file["tool"],
                file["group"],
                quality,
                float(scores.mean()),
                float(np.median(px)),
                file["fold"],
            )
        )
    return clips


def auc(real: Sequence[float], fake: Sequence[float]) -> float:
    """Share of pairs in which the forgery has the higher score; ties count half."""
    r, f = np.sort(np.asarray(real, float)), np.asarray(fake, float)
    below = np.searchsorted(r, f, "left") + np.searchsorted(r, f, "right")
    return float(below.mean() / 2 / len(r)) if len(r) and len(f) else float("nan")


def tpr_at(real: Sequence[float], fake: Sequence[float], fpr: float) -> float:
    """Share of forgeries above the threshold that lets at most `fpr` of the reals through."""
    r = np.sort(np.asarray(real, float))[::-1]
    if not len(r) or not len(fake):
        return float("nan")
    at = r[min(int(np.floor(fpr * len(r) + 1e-9)), len(r) - 1)]
    return float((np.asarray(fake, float) > at).mean())


def subsets(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """Forged clips by what a table's rows name."""
    forged = [c for c in clips if c.label]
    found = {
        "all": forged,
        "blended": [c for c in forged if c.blended],
        "generated": [c for c in forged if not c.blended],
    }
    found |= {kind: [c for c in forged if c.kind == kind] for kind in KINDS}
    return {name: members for name, members in found.items() if members}


def kind_table(clips: Sequence[Clip]) -> str:
    """One line a quality: video AUC of every subset that has clips."""
    lines = []
    for quality in QUALITIES:
        here = [c for c in clips if c.quality == quality]
        real = [c.score for c in here if not c.label]
        cells = [
            f"{name} {auc(real, [c.score for c in m]):.2f} ({len(m)})"
            for name, m in subsets(here).items()
        ]
        forged = [c.score for c in here if c.label]
        lines.append(f"{quality}: {', '.join(cells)}; TPR@5% {tpr_at(real, forged, 0.05):.2f}")
    return "\n".join(lines)
