"""Scores of installed bundles on clips that none of them has seen: by tool, by kind, together.

Of weights that saw clips only the later additions count: forgeries by tools outside their training, and
real footage that came after it. A clip's score is what the workers make of its frames.
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from research.heldout.figures import Clip
from unmask.bundle import BundleCard
from workers.verdicts.arithmetic.probability import calibrated
from workers.verdicts.arithmetic.track_score import method
from workers.verdicts.combine import Vote, combine

#: Tools whose clips some shipped weights were trained on, with the first real clip that came later.
SEEN_TOOLS = frozenset(
    {"Wav2Lip", "IP_LAP", "DiffDub", "PC-AVS", "DAE-Talker", "DeepFaceLive", "SadTalker", "DreamTalk", "EDTalk", "AniTalker", "StyleTalk"}
)  # fmt: skip
#: Moments of a clip that are scored, by quality.
COUNTED: Mapping[str, tuple[int, ...]] = {"found": (0, 2, 5), "crf23": (2,), "crf32": (2,)}
#: Of a bundle whose card names no other.
_USUAL = "track-mean-top20"
FIRST_LATER = "videos/real/3ddfa-obama.mp4"


class Judged(NamedTuple):
    """One clip at one quality with each bundle's score, before calibration."""

    clip: Clip
    raw: Mapping[str, float]


def later_reals(data: Path) -> frozenset[str]:
    """Real clips that came after the training of the older weights."""
    rows = csv.DictReader((data / "MANIFEST.csv").read_text(encoding="utf-8").splitlines())
    reals = [r["path"] for r in rows if r["path"].startswith("videos/real/")]
    return frozenset(reals[reals.index(FIRST_LATER) :])


def is_unseen(file: Mapping[str, Any], path: str, later: frozenset[str]) -> bool:
    """Whether none of the shipped weights saw its tool, or for a real clip, itself."""
    return file["tool"] not in SEEN_TOOLS if file["label"] else path in later


def judged(
    paths: Sequence[Path],
    files: Mapping[str, Any],
    data: Path,
    cards: Mapping[str, BundleCard],
) -> list[Judged]:
    """Unseen clips; each bundle's frames become one as its card says, as they do in a worker."""
    frames: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    sizes: dict[tuple[str, str], list[float]] = defaultdict(list)
    for archive in paths:
        held = np.load(archive)
        rows = json.loads(str(held["rows"]))
        for name in (n for n in held.files if n != "rows"):
            for row, p in zip(rows, held[name].tolist(), strict=True):
                frames[row["path"], row["quality"]][name].append(p)
        for row in rows:
            sizes[row["path"], row["quality"]].append(row["face_px"])
    aggregated = {name: method(card.aggregation or _USUAL)[1] for name, card in cards.items()}
    later = later_reals(data)
    found = []
    for (path, quality), scores in sorted(frames.items()):
        file = files[path]
        if not is_unseen(file, path, later):
            continue
        clip = Clip(
            path,
            file["label"],
            file["kind"],
            file["tool"],
            file["group"],
            quality,
            0.0,
            float(np.median(sizes[path, quality])),
            0,
        )
        found.append(Judged(clip, {name: made(scores[name]) for name, made in aggregated.items()}))
    return found


def alone(clips: Sequence[Judged], name: str) -> list[Clip]:
    """One bundle's raw scores."""
    return [j.clip._replace(score=j.raw[name]) for j in clips]


def together(clips: Sequence[Judged], cards: Mapping[str, BundleCard]) -> list[Clip]:
    """What the workers make of several calibrated bundles, before their calibration together."""
    out = []
    for j in clips:
        votes = [
            Vote(calibrated(j.raw[name], card.calibration), card.combination_weight, card.finds)
            for name, card in cards.items()
            if card.combination_weight > 0
        ]
        out.append(j.clip._replace(score=combine(votes)))
    return out


def scores_parser(about: str | None) -> argparse.ArgumentParser:
    """Of a command that reads what `bundle_scores` wrote, and the bundles' cards."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scores", type=Path, nargs="+")
    parser.add_argument("--research-data", type=Path, required=True)
    parser.add_argument(
        "--plugins", nargs="+", default=["sola", "efficientnet_fpn", "generated_faces"]
    )
    parser.add_argument("--bundles", type=Path, default=Path("detect_plugins"))
    return parser
