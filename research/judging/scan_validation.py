"""What a user gets: `unmask scan` itself on the validation clips, as found and re-encoded at crf 23 and 32.

    python -m research.judging.scan_validation --research-data ../shared/data --out SCANNED

The installed weights, face detector and policy, from file to verdict; where `research.judging.judge` takes
faces that YuNet found. Prints video AUC of the verdicts' `p_fake`, and what the policy made of it. Verdicts stay
in SCANNED, a file per quality. About fifteen minutes of one core.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from research.judging.scored import QUALITIES, ScoredClip
from research.judging.tables import auc_table
from research.pools.research_data import DataFile, validation_clips
from research.pools.validation_set import QUALITIES as CRF_OF
from research.pools.validation_set import reencode
from unmask.frozen import Frozen
from unmask.verdict import VerdictLabel

SYSTEM = "unmask scan"


class Scanned(Frozen):
    """One video's verdict, and what the video is."""

    file: DataFile
    quality: str
    outcome: VerdictLabel | Literal["failed"]
    p_fake: float | None
    face_px: float


def scan(files: Sequence[DataFile], data: Path, out: Path) -> list[Scanned]:
    """Judge every file at every quality by the command, in a process of its own."""
    out.mkdir(parents=True, exist_ok=True)
    found: list[Scanned] = []
    for quality, crf in CRF_OF:
        lines = out / f"{quality}.jsonl"
        with tempfile.TemporaryDirectory() as scratch:
            paths = [data / file.path for file in files]
            if crf is not None:
                made = [Path(scratch) / f"{number}.mp4" for number in range(len(files))]
                for source, target in zip(paths, made, strict=True):
                    reencode(source, target, crf)
                paths = made
            # It exits with 1 where a file failed: that file's line says so, and is counted.
            subprocess.run(
                [sys.executable, "-m", "console.cli", "scan", *paths, "--json", lines], check=False
            )
        found += read_scan(files, quality, lines.read_text(encoding="utf-8").splitlines())
    return found


def read_scan(files: Sequence[DataFile], quality: str, lines: Sequence[str]) -> list[Scanned]:
    """The command's lines, one per file and in order."""
    return [_read(file, quality, json.loads(line)) for file, line in zip(files, lines, strict=True)]


def _read(file: DataFile, quality: str, line: dict[str, Any]) -> Scanned:
    tracks = line.get("tracks", ())
    return Scanned.model_validate(
        {
            "file": file,
            "quality": quality,
            "outcome": line.get("verdict") or "failed",
            "p_fake": line.get("p_fake"),
            "face_px": max((track["median_face_px"] for track in tracks), default=0.0),
        }
    )


def scores(found: Sequence[Scanned]) -> list[ScoredClip]:
    """The judged ones, as the tables take them."""
    return [
        ScoredClip(
            clip=s.file.path,
            family=s.file.family,
            label=s.file.label,
            people=s.file.people,
            quality=s.quality,
            raw=s.p_fake,
            face_px=s.face_px,
        )
        for s in found
        if s.p_fake is not None
    ]


def outcome_table(found: Sequence[Scanned]) -> str:
    """How many clips of a family ended in each verdict, at each quality."""
    outcomes = [*(label.value for label in VerdictLabel), "failed"]
    lines = [
        f"| family | quality | {' | '.join(outcomes)} |",
        "|---|---|" + "---|" * len(outcomes),
    ]
    for family in sorted({s.file.family for s in found}):
        for quality in QUALITIES:
            count = Counter(
                str(s.outcome) for s in found if (s.file.family, s.quality) == (family, quality)
            )
            lines.append(
                f"| {family} | {quality} | {' | '.join(str(count[o]) for o in outcomes)} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--research-data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    data: Path = args.research_data
    files = validation_clips(data)
    found = scan(files, data, args.out)
    print(f"{auc_table({SYSTEM: scores(found)})}\n\n{outcome_table(found)}")


if __name__ == "__main__":
    main()
